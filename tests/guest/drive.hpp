// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs a program of a tool that is under way as the kernel would, with arguments of the test's own:
// for orders of events that no guest can be made to have.
#pragma once
#include "harness.hpp"
#include <array>
#include <bpf/bpf.h>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <optional>
#include <unistd.h>
#include <utility>

namespace corebox::test
{

// A raw_tp program by its name, the youngest. With COREBOX_PROBES=raw_tp a tool's are; those of
// tp_btf cannot be run so.
class Driven
{
public:
    explicit Driven(const std::string& name)
    {
        for (__u32 id = 0; ::bpf_prog_get_next_id(id, &id) == 0;) {
            const int fd = ::bpf_prog_get_fd_by_id(id);
            bpf_prog_info info{};
            __u32 size = sizeof info;
            const bool it =
                ::bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && std::string(info.name) == name;
            ::close(it ? std::exchange(fd_, fd) : fd);
        }
        EXPECT_GE(fd_, 0) << name;
    }
    ~Driven() { ::close(fd_); }
    Driven(const Driven&) = delete;
    Driven& operator=(const Driven&) = delete;

    // Once: by the calling thread, or in an interrupt on a CPU.
    void operator()(std::array<std::uint64_t, 4> arguments, std::optional<unsigned> cpu = {}) const
    {
        bpf_test_run_opts opts{};
        opts.sz = sizeof opts;
        opts.ctx_in = arguments.data();
        opts.ctx_size_in = sizeof arguments;
        opts.flags = cpu ? BPF_F_TEST_RUN_ON_CPU : 0;
        opts.cpu = cpu.value_or(0);
        EXPECT_EQ(::bpf_prog_test_run_opts(fd_, &opts), 0) << std::strerror(errno);
    }

private:
    int fd_ = -1;
};

} // namespace corebox::test
