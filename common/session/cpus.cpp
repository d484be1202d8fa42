// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/cpus.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "session/perf.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <cerrno>
#include <sys/mman.h>
#include <unistd.h>

namespace corebox
{

std::uint32_t cpu_limit()
{
    const auto text = read_file("/sys/devices/system/cpu/possible");
    const auto cpus = text ? parse_cpu_list(*text) : std::nullopt;
    if (cpus && !cpus->empty())
        return *std::ranges::max_element(*cpus) + 1;
    return std::uint32_t(std::max(1, libbpf_num_possible_cpus()));
}

void check_cpu(std::uint32_t cpu)
{
    if (cpu >= cpu_limit())
        fail(cat("cannot trace CPU ", cpu), "this machine has no such CPU");
}

MappedArray::~MappedArray()
{
    if (memory_)
        ::munmap(memory_, bytes_);
}

void MappedArray::map(bpf_map* array)
{
    const auto page = std::size_t(::sysconf(_SC_PAGESIZE));
    entries_ = bpf_map__max_entries(array);
    const std::size_t wanted = entries_ * bpf_map__value_size(array);
    if (memory_)
        ::munmap(memory_, bytes_);
    bytes_ = (wanted + page - 1) / page * page;
    memory_ = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(array), 0);
    if (memory_ == MAP_FAILED) {
        memory_ = nullptr;
        fail("cannot map the counters into memory", errno);
    }
}

} // namespace corebox
