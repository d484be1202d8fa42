// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// An overlayfs, as containers have it.
#pragma once
#include "harness.hpp"
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <sys/mount.h>
#include <sys/stat.h>

namespace corebox::test
{

// Of two directories on ext4; unmounted by the destructor.
class Overlay
{
public:
    Overlay()
    {
        for (const std::string& d : {lower(), upper(), merged(), dir_ / "work"})
            ::mkdir(d.c_str(), 0755);
        const std::string options =
            "lowerdir=" + lower() + ",upperdir=" + upper() + ",workdir=" + (dir_ / "work");
        if (::mount("test", merged().c_str(), "overlay", 0, options.c_str()) != 0)
            throw std::runtime_error(std::string("mount overlay: ") + std::strerror(errno));
    }
    ~Overlay() { ::umount2(merged().c_str(), MNT_DETACH); }
    Overlay(const Overlay&) = delete;
    Overlay& operator=(const Overlay&) = delete;

    std::string lower() const { return dir_ / "lower"; }
    std::string upper() const { return dir_ / "upper"; } // what is made or written
    std::string merged() const { return dir_ / "merged"; }

private:
    TempDir dir_{"/mnt/ext4"};
};

} // namespace corebox::test
