// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "call.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "points_option.hpp"
#include "probe/launch.hpp"
#include "session/where.hpp"
#include <algorithm>
#include <bit>
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{
std::uint32_t only_process(const Session& session)
{
    return session.pids.size() == 1 ? session.pids[0] : 0;
}

void CallOptions::choose(std::vector<Point> points, const Session& session)
{
    if (points.empty())
        fail("cannot find a traceable function that matches the pattern", ENOENT);
    const auto users = std::ranges::stable_partition(
        points, [](const Point& p) { return p.kind == Point::Kind::kernel; });
    std::vector<Point> of_user(std::make_move_iterator(users.begin()),
                               std::make_move_iterator(users.end()));
    points.erase(users.begin(), users.end());
    no_fentry = session.given("kprobes");
    is_one = points.size() == 1 && of_user.empty();
    if (!points.empty())
        kernel = std::make_unique<FunctionProbes>(std::move(points));
    if (!of_user.empty())
        user = std::make_unique<FunctionProbes>(std::move(of_user), only_process(session));
    if (is_one)
        one[0] = {"%function", point(0).name, point(0).module};
}

namespace
{
bool is_of_columns(std::string_view part, std::span<const Column> columns)
{
    try {
        const Where parsed(part, columns);
        return true;
    } catch (const Failure&) {
        return false;
    }
}
} // namespace

void CallOptions::take_condition(Session& session, std::span<const Need> needs,
                                 const void* (*elf_bytes)(std::size_t*),
                                 std::span<const Column> columns)
{
    for (const std::string_view part : conjuncts(session.condition)) {
        std::string& of = is_of_columns(part, columns) ? where_row : where_call;
        of += cat(of.empty() ? "" : " && ", part);
    }
    session.condition = where_row;
    if (where_call.empty())
        return;
    std::vector<Point> points;
    for (const FunctionProbes* probes : {kernel.get(), user.get()})
        if (probes)
            points.insert(points.end(), probes->functions().begin(), probes->functions().end());
    where.emplace(where_call, session, points, true, is_one && !no_fentry);
    session.object = where->make_object(elf_bytes);
    no_fentry |= !where->has(BODY_TYPED);
    std::ranges::copy(needs.first(2), typed_needs.begin());
    for (std::size_t i = 1; i < typed_needs[0].rungs.size(); i++)
        typed_needs[0].rungs[i] = {};
}

const Point& CallOptions::point(std::size_t number) const
{
    const std::size_t first = kernel_size();
    return number < first ? kernel->functions()[number] : user->functions()[number - first];
}

void CallOptions::detach()
{
    for (FunctionProbes* probes : {kernel.get(), user.get()})
        if (probes)
            probes->detach();
}

std::vector<Point> find_calls(std::string_view pattern, FunctionPattern::Syntax syntax,
                              const Session& session)
{
    const PointPattern parsed(pattern);
    if (parsed.kind != Point::Kind::kernel && parsed.kind != Point::Kind::user)
        fail_usage(cat("'", pattern, "' is not a function; only functions return"));
    if (parsed.returns)
        fail_usage(cat("'", pattern, "': entry and return are both traced; remove 'r'"));
    std::size_t own = 0;
    auto points = find_points_everywhere(parsed, syntax, session.pids, &own);
    say_left_out(own, session);
    // There the place of a return and the arguments are others: no call would be measured.
    const ObjectFile* seen = nullptr;
    for (const Point& point : points)
        if (point.object && point.object.get() != seen) {
            seen = point.object.get();
            if (const auto file = open_elf(*seen); file && !file->is_64())
                fail(cat("cannot measure calls in ", seen->path), "it is a 32-bit file");
        }
    return points;
}

void say_traced(std::size_t attached, std::size_t all, const Session& session)
{
    if (attached != all)
        say(session.tool,
            cat(attached, " of ", all, " functions; the others cannot be traced here"));
    else if (all > 1 || session.explain)
        say(session.tool, cat(all, all == 1 ? " function" : " functions"));
}

void say_traced(const CallOptions& o, const Session& session)
{
    const std::size_t kernel = o.is_one && !o.no_fentry ? 1 : o.kernel ? o.kernel->attached() : 0;
    say_traced(kernel + (o.user ? o.user->attached() : 0), o.size(), session);
}

std::uint32_t call_threads_room()
{
    constexpr std::uint32_t kLeast = 1024, kMost = 32768;
    // "0.03 0.01 0.00 1/113 4711": of 113 threads one runs.
    const std::string load = read_file("/proc/loadavg").value_or("");
    const auto slash = load.find('/');
    const auto end = load.find(' ', slash);
    const auto threads =
        slash == load.npos || end == load.npos
            ? std::nullopt
            : to_number<std::uint32_t>(std::string_view(load).substr(slash + 1, end - slash - 1));
    return std::bit_ceil(std::clamp(threads.value_or(kMost) * 2, kLeast, kMost));
}

std::uint64_t unreturned_frames(const bpf_map* threads)
{
    return of_gone_threads(threads, [](std::span<const std::byte> value) -> std::uint64_t {
        return reinterpret_cast<const call_thread*>(value.data())->used;
    });
}

} // namespace corebox
