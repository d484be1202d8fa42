// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// What the tools that trace points of a pattern say and ask alike.
#pragma once
#include "probe/points.hpp"
#include "shape/left_out.hpp"

namespace corebox
{

// What of the help says which points a PATTERN chooses.
inline constexpr std::string_view kPatternHelp =
    "func, lib:func, /path:func, t:category:event or u:lib:probe; the last part may have *, ? and "
    "[...]";

// What a pattern chooses; says what was left out of it.
inline std::vector<Point> find_points(const PointPattern& pattern, const Session& session)
{
    std::size_t own = 0;
    auto points = find_points_everywhere(pattern,
                                         session.given("regexp") ? FunctionPattern::Syntax::regex
                                                                 : FunctionPattern::Syntax::glob,
                                         session.pids, &own);
    say_left_out(own, session);
    return points;
}

// Options: has a member `pattern`.
template <class Options>
std::vector<Point> chosen_points(const Options& o, const Session& session)
{
    const PointPattern pattern(o.pattern);
    if (pattern.returns)
        fail_usage("cannot count returns: use p, t or u instead of r");
    return find_points(pattern, session);
}

inline std::string points_banner(std::string_view pattern, const FunctionProbes& probes)
{
    return cat("Tracing ", probes.attached(), " functions for \"", pattern,
               "\"... Hit Ctrl-C to end.");
}

} // namespace corebox
