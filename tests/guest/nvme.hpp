// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A multipath NVMe namespace with one path: a disk of this machine, offered to itself over TCP.
#pragma once
#include "block.hpp"
#include <cerrno>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <stdexcept>
#include <unistd.h>

namespace corebox::test
{

class Nvme
{
public:
    explicit Nvme(const std::string& disk)
    {
        const Result r =
            shell("set -e; modprobe nvmet-tcp; modprobe nvme-tcp; ip link set lo up;"
                  "grep -q configfs /proc/mounts || mount -t configfs none /sys/kernel/config;"
                  "cd /sys/kernel/config/nvmet; mkdir subsystems/test; "
                  "echo 1 >subsystems/test/attr_allow_any_host; mkdir subsystems/test/namespaces/1;"
                  "printf " +
                  disk +
                  " >subsystems/test/namespaces/1/device_path; echo 1 "
                  ">subsystems/test/namespaces/1/enable;"
                  "mkdir ports/1; cd ports/1; echo tcp >addr_trtype; echo ipv4 >addr_adrfam;"
                  "echo 127.0.0.1 >addr_traddr; echo 4420 >addr_trsvcid;"
                  "ln -s ../../subsystems/test subsystems/test");
        if (r.status != 0)
            throw std::runtime_error("nvmet: " + r.out + r.err);
        const std::string below = disk.substr(disk.rfind('/') + 1);
        const std::uint64_t reads = DiskStat::of(below).reads;
        const std::string_view how = "nqn=test,transport=tcp,traddr=127.0.0.1,trsvcid=4420";
        // The controller lives as long as nobody deletes it, the descriptor need not.
        const int fd = ::open("/dev/nvme-fabrics", O_RDWR | O_CLOEXEC);
        if (::write(fd, how.data(), how.size()) != ssize_t(how.size()))
            throw std::runtime_error(std::string("nvme-fabrics: ") + std::strerror(errno));
        ::close(fd);
        EXPECT_TRUE(wait_until([&] { return find(); }));
        // The kernel looks for partitions when it likes to, in a kernel thread.
        EXPECT_TRUE(wait_until([&] {
            const std::uint64_t seen = DiskStat::of(below).reads;
            ::usleep(300'000);
            return seen > reads && DiskStat::of(below).reads == seen;
        }));
    }
    ~Nvme()
    {
        const Result r =
            shell("for c in /sys/class/nvme/nvme*/delete_controller; do echo 1 >$c; done;"
                  "cd /sys/kernel/config/nvmet; rm ports/1/subsystems/test; rmdir ports/1;"
                  "echo 0 >subsystems/test/namespaces/1/enable;"
                  "rmdir subsystems/test/namespaces/1 subsystems/test");
        EXPECT_EQ(r.status, 0) << r.err;
    }
    Nvme(const Nvme&) = delete;
    Nvme& operator=(const Nvme&) = delete;

    const std::string& head() const { return head_; } // nvme0n1
    const std::string& path() const { return path_; } // nvme0c0n1, which is hidden

private:
    bool find()
    {
        const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir("/sys/block"), ::closedir);
        while (const dirent* entry = ::readdir(dir.get())) {
            const std::string name = entry->d_name;
            if (!name.starts_with("nvme"))
                continue;
            if (name.find('c') != name.npos)
                path_ = name;
            else if (::access(("/dev/" + name).c_str(), F_OK) == 0)
                head_ = name;
        }
        return !head_.empty() && !path_.empty();
    }

    std::string head_, path_;
};

} // namespace corebox::test
