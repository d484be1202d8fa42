// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A cgroup with a limit of memory.
#pragma once
#include "harness.hpp"
#include <cstddef>
#include <sys/mman.h>

namespace corebox::test
{

class MemoryCgroup
{
public:
    MemoryCgroup(const std::string& name, std::size_t limit) : cgroup_(prepared(name))
    {
        write_file(cgroup_.path() + "/memory.max", std::to_string(limit));
    }
    const Cgroup* operator->() const { return &cgroup_; }

private:
    static const std::string& prepared(const std::string& name)
    {
        write_file("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
        return name;
    }
    Cgroup cgroup_;
};

inline constexpr std::size_t kPage = 4096;

// Pages of its own, never huge ones, that are gone with it.
class Pages
{
public:
    explicit Pages(std::size_t n, int fd = -1)
        : bytes_(n * kPage),
          at_(static_cast<char*>(::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | (fd < 0 ? MAP_ANONYMOUS : 0), fd, 0)))
    {
        if (at_ == MAP_FAILED)
            throw std::runtime_error("mmap failed");
        ::madvise(at_, bytes_, MADV_NOHUGEPAGE);
    }
    ~Pages() { ::munmap(at_, bytes_); }
    Pages(const Pages&) = delete;
    Pages& operator=(const Pages&) = delete;

    char* data() const { return at_; }
    std::size_t bytes() const { return bytes_; }
    void write() const
    {
        for (std::size_t i = 0; i < bytes_; i += kPage)
            const_cast<volatile char*>(at_)[i] = 1;
    }
    unsigned read() const
    {
        unsigned sum = 0;
        for (std::size_t i = 0; i < bytes_; i += kPage)
            sum += static_cast<unsigned char>(const_cast<volatile char*>(at_)[i]);
        return sum;
    }

private:
    std::size_t bytes_;
    char* at_;
};

} // namespace corebox::test
