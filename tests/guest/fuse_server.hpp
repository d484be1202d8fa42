// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A file system that is slow for certain: a FUSE server that answers reads after a delay.
#pragma once
#include "harness.hpp"
#include <chrono>
#include <memory>

namespace corebox::test
{

// Mounted on `directory`, with one file "slow" of 64 KiB. Reads of it are answered after `delay`,
// all else at once; reads and writes go to the server one by one (FOPEN_DIRECT_IO). Unmounted by
// the destructor.
class FuseServer
{
public:
    // With `program` there is also a file "program" that can be executed, read through the cache.
    FuseServer(const std::string& directory, std::chrono::milliseconds delay,
               const std::string& program = {});
    ~FuseServer();
    FuseServer(const FuseServer&) = delete;
    FuseServer& operator=(const FuseServer&) = delete;

private:
    std::string directory_;
    std::unique_ptr<Child> server_;
};

} // namespace corebox::test
