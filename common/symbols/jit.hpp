// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Internal to common/symbols: names of the code that a process generated, from /tmp/perf-PID.map.
#pragma once

#include "symbols/perf_map.hpp"
#include "symbols/process.hpp"

#include <map>
#include <memory>
#include <sys/stat.h>
#include <vector>

namespace corebox
{

// A map, held from when it is first seen: a process may delete its own as it ends.
struct JitMap {
    Fd handle;
    PerfMap names;
    std::int64_t size = 0, written = 0; // when `names` was read

    void read_again();
};

// One object for each map that any process looks into.
class JitMaps
{
public:
    std::shared_ptr<JitMap> take(Fd handle, const struct stat& info);

private:
    std::map<std::pair<dev_t, ino_t>, std::weak_ptr<JitMap>> maps_;
};

// The maps that name a process's code: its own, and those of the processes that it was forked from,
// whose code it has copies of.
class JitNames
{
public:
    // Holds the maps that are there. `pid`: the process, or a thread of it.
    void note(std::uint32_t pid, Roots& roots, JitMaps& maps);

    // The name lives until the next call.
    std::optional<PerfMap::Function> find(std::uint64_t address, JitMaps& maps);

private:
    struct Source {
        RootPlace place;
        std::string path;
        std::uint32_t uid = 0;
        std::shared_ptr<JitMap> map;
        std::uint64_t looked_ns = 0; // for what was written since
    };
    static void look(Source& source, JitMaps& maps);
    std::optional<PerfMap::Function> find_known(std::uint64_t address) const;

    std::vector<Source> sources_;
};

} // namespace corebox
