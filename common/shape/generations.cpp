// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "shape/generations.hpp"
#include "abi/hist.h"
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace corebox
{
namespace
{

constexpr std::size_t padded(std::size_t n) { return (n + 7) / 8 * 8; }

bool is_per_cpu(const bpf_map* map)
{
    const auto type = bpf_map__type(map);
    return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
           type == BPF_MAP_TYPE_PERCPU_ARRAY;
}

} // namespace

__u32 Generations::flip()
{
    const __u32 old = live_;
    __atomic_store_n(&live_, old ^ 1, __ATOMIC_SEQ_CST);
    // MEMBARRIER_CMD_GLOBAL is synchronize_rcu(), and BPF programs run inside RCU read sections.
    // With nohz_full CPUs the kernel refuses it; a program runs for microseconds.
    if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) != 0)
        ::usleep(20'000);
    return old;
}

Entries::Entries(bpf_map* map, __u32 generation) : Entries(map, std::optional(generation)) {}

Entries::Entries(bpf_map* map, std::optional<__u32> generation)
    : key_size_(padded(bpf_map__key_size(map))), map_key_size_(bpf_map__key_size(map)),
      value_size_(padded(bpf_map__value_size(map))),
      cpus_(is_per_cpu(map) ? std::size_t(libbpf_num_possible_cpus()) : 1),
      stride_(key_size_ + value_size_ * cpus_), generation_(generation)
{
    // A map for all CPUs has values as they are declared: read them with their own size.
    if (cpus_ == 1 && !is_per_cpu(map))
        value_size_ = bpf_map__value_size(map);
    const int fd = bpf_map__fd(map);
    if (fd < 0)
        return; // not made: no program of this run uses it
    errno = 0;
    read_batches(fd);
    if (errno != 0 && errno != ENOENT) {
        bytes_.clear();
        read_one_by_one(fd);
    }
    if (generation_)
        remove(fd);
}

void Entries::keep(const std::byte* key, const std::byte* value)
{
    __u32 of;
    std::memcpy(&of, key, sizeof of);
    if (generation_ && (of & HIST_GENERATION) != *generation_)
        return;
    const std::size_t at = bytes_.size();
    bytes_.resize(at + stride_);
    std::memcpy(bytes_.data() + at, key, map_key_size_);
    std::memcpy(bytes_.data() + at + key_size_, value, value_size_ * cpus_);
}

void Entries::read_batches(int fd)
{
    __u32 room = 512, batch = 0;
    std::vector<std::byte> keys, values;
    for (bool first = true;;) {
        keys.resize(room * map_key_size_);
        values.resize(room * value_size_ * cpus_);
        __u32 n = room;
        const int result = bpf_map_lookup_batch(fd, first ? nullptr : &batch, &batch, keys.data(),
                                                values.data(), &n, nullptr);
        if (result == -ENOSPC) { // a bucket has more entries than there is room for
            room *= 4;
            continue;
        }
        if (result != 0 && result != -ENOENT) {
            errno = -result;
            return;
        }
        for (__u32 i = 0; i < n; i++)
            keep(keys.data() + i * map_key_size_, values.data() + i * value_size_ * cpus_);
        if (result == -ENOENT) {
            errno = 0;
            return;
        }
        first = false;
    }
}

void Entries::read_one_by_one(int fd)
{
    std::vector<std::byte> key(map_key_size_), next(map_key_size_), value(value_size_ * cpus_);
    for (bool first = true;
         bpf_map_get_next_key(fd, first ? nullptr : key.data(), next.data()) == 0; first = false) {
        key.swap(next);
        if (bpf_map_lookup_elem(fd, key.data(), value.data()) == 0)
            keep(key.data(), value.data());
    }
    if (errno != ENOENT)
        fail("cannot read a BPF map", errno);
}

void Entries::remove(int fd)
{
    std::vector<std::byte> keys(size() * map_key_size_);
    for (std::size_t i = 0; i < size(); i++)
        std::memcpy(keys.data() + i * map_key_size_, bytes_.data() + i * stride_, map_key_size_);
    __u32 n = __u32(size());
    if (n == 0 || bpf_map_delete_batch(fd, keys.data(), &n, nullptr) == 0)
        return;
    for (std::size_t i = 0; i < size(); i++)
        bpf_map_delete_elem(fd, keys.data() + i * map_key_size_);
}

} // namespace corebox
