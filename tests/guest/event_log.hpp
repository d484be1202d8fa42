// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the kernel's own tracing says of events: a second witness.
#pragma once
#include "harness.hpp"
#include <sys/stat.h>
#include <unistd.h>

namespace corebox::test
{

class EventLog
{
public:
    // "vmscan/mm_vmscan_direct_reclaim_begin", of one process; 0: of all.
    EventLog(std::initializer_list<std::string_view> events, pid_t pid)
    {
        ::mkdir(kPath, 0755);
        for (const std::string_view event : events) {
            const std::string at = std::string(kPath) + "/events/" + std::string(event);
            if (pid)
                write_file(at + "/filter", "common_pid == " + std::to_string(pid));
            write_file(at + "/enable", "1");
        }
    }
    ~EventLog() { ::rmdir(kPath); }
    EventLog(const EventLog&) = delete;
    EventLog& operator=(const EventLog&) = delete;

    struct Line {
        double time_s;
        std::string event;
        std::string text; // behind the event's name

        // "order" of "order=9 gfp_flags=..."; empty: there is none.
        std::string field(const std::string& name) const
        {
            const auto at = (" " + text).find(" " + name + "=");
            return at == std::string::npos
                       ? ""
                       : text.substr(at + name.size() + 1,
                                     text.find(' ', at) == std::string::npos
                                         ? std::string::npos
                                         : text.find(' ', at) - at - name.size() - 1);
        }
    };
    std::vector<Line> read() const
    {
        std::vector<Line> all;
        for (const std::string& line : lines(read_file(std::string(kPath) + "/trace"))) {
            if (line.starts_with('#'))
                continue;
            // "comm-1 [000] ..... 5.897978: event: text"
            const auto cpu = line.find(" [");
            const auto stamp_end = line.find(": ", cpu);
            const auto name_end = line.find(": ", stamp_end + 2);
            if (cpu == std::string::npos || name_end == std::string::npos)
                continue;
            const auto stamp = line.rfind(' ', stamp_end - 1);
            all.push_back({std::stod(line.substr(stamp + 1, stamp_end - stamp - 1)),
                           line.substr(stamp_end + 2, name_end - stamp_end - 2),
                           line.substr(name_end + 2)});
        }
        return all;
    }

private:
    static constexpr const char* kPath = "/sys/kernel/tracing/instances/guest_tests";
};

} // namespace corebox::test
