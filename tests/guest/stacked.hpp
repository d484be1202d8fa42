// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Disks that lie on other disks, made by the kernel's own calls: neither mdadm nor dmsetup is here.
#pragma once
#include "harness.hpp"
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/major.h>
#include <linux/raid/md_p.h>
#include <linux/raid/md_u.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

namespace corebox::test
{

// /dev/mdN, a mirror of two disks; without a superblock, so that nothing is written to them.
class Mirror
{
public:
    Mirror(unsigned number, const std::array<std::string, 2>& members)
        : name_("md" + std::to_string(number))
    {
        ::mknod(path().c_str(), S_IFBLK | 0600, makedev(MD_MAJOR, number));
        fd_ = ::open(path().c_str(), O_RDWR | O_CLOEXEC); // makes it, where it does not exist
        EXPECT_GE(fd_, 0) << path() << ": " << std::strerror(errno);
        mdu_array_info_t array{};
        array.major_version = 0;
        array.minor_version = 90;
        array.level = 1;
        array.size = 8 << 10; // KiB
        array.raid_disks = array.nr_disks = array.active_disks = array.working_disks = 2;
        array.not_persistent = 1;
        array.state = 1; // MD_SB_CLEAN: nothing to synchronise
        EXPECT_EQ(::ioctl(fd_, SET_ARRAY_INFO, &array), 0) << std::strerror(errno);
        for (int i = 0; i < 2; i++) {
            struct stat st {
            };
            const std::string& member = members[std::size_t(i)];
            EXPECT_EQ(::stat(member.c_str(), &st), 0) << member;
            mdu_disk_info_t disk{};
            disk.number = disk.raid_disk = i;
            disk.state = (1 << MD_DISK_ACTIVE) | (1 << MD_DISK_SYNC);
            disk.major = int(major(st.st_rdev));
            disk.minor = int(minor(st.st_rdev));
            EXPECT_EQ(::ioctl(fd_, ADD_NEW_DISK, &disk), 0) << member << std::strerror(errno);
        }
        mdu_param_t run{};
        EXPECT_EQ(::ioctl(fd_, RUN_ARRAY, &run), 0) << std::strerror(errno);
    }
    ~Mirror()
    {
        EXPECT_TRUE(wait_until([this] { return ::ioctl(fd_, STOP_ARRAY, nullptr) == 0; }))
            << std::strerror(errno);
        ::close(fd_);
        ::unlink(path().c_str());
    }
    Mirror(const Mirror&) = delete;
    Mirror& operator=(const Mirror&) = delete;

    const std::string& name() const { return name_; }
    std::string path() const { return "/dev/" + name_; }

private:
    std::string name_;
    int fd_ = -1;
};

// /dev/dm-N, made of targets of device mapper one behind the other.
class MappedDisk
{
public:
    struct Target {
        std::uint64_t sectors;
        std::string type, parameters; // "linear", "/dev/nullb0 4096"
    };

    MappedDisk(const std::string& label, const std::vector<Target>& targets) : label_(label)
    {
        control_ = ::open("/dev/mapper/control", O_RDWR | O_CLOEXEC);
        EXPECT_GE(control_, 0) << std::strerror(errno);
        Request create(label_);
        call(DM_DEV_CREATE, create);
        name_ = "dm-" + std::to_string(minor(dev_t(create.header.dev)));
        Request table(label_);
        std::uint64_t start = 0;
        char* at = table.data;
        for (const Target& target : targets) {
            dm_target_spec spec{};
            // Each begins on a multiple of eight bytes.
            const std::size_t size = (sizeof spec + target.parameters.size() + 8) & ~7ul;
            spec.sector_start = start;
            spec.length = target.sectors;
            spec.next = unsigned(size);
            target.type.copy(spec.target_type, sizeof spec.target_type - 1);
            std::memcpy(at, &spec, sizeof spec);
            target.parameters.copy(at + sizeof spec, target.parameters.size());
            at += size;
            start += target.sectors;
            table.header.target_count++;
        }
        call(DM_TABLE_LOAD, table);
        Request resume(label_);
        call(DM_DEV_SUSPEND, resume);
        EXPECT_TRUE(wait_until([this] { return ::access(path().c_str(), F_OK) == 0; })) << path();
    }
    ~MappedDisk()
    {
        EXPECT_TRUE(wait_until([this] {
            Request remove(label_);
            return ::ioctl(control_, DM_DEV_REMOVE, &remove.header) == 0;
        })) << std::strerror(errno);
        ::close(control_);
    }
    MappedDisk(const MappedDisk&) = delete;
    MappedDisk& operator=(const MappedDisk&) = delete;

    const std::string& name() const { return name_; }
    std::string path() const { return "/dev/" + name_; }

private:
    struct Request {
        dm_ioctl header{};
        char data[1024] = {};

        explicit Request(const std::string& label)
        {
            header.version[0] = DM_VERSION_MAJOR;
            header.data_size = sizeof *this;
            header.data_start = offsetof(Request, data);
            label.copy(header.name, sizeof header.name - 1);
        }
    };

    void call(unsigned long command, Request& request) const
    {
        EXPECT_EQ(::ioctl(control_, command, &request.header), 0)
            << label_ << ": " << std::strerror(errno);
    }

    std::string label_, name_;
    int control_ = -1;
};

} // namespace corebox::test
