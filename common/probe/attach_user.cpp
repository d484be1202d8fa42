// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// FunctionProbes on functions and USDT probes of programs.
#include "probe/copies.hpp"
#include "probe/functions.hpp"
#include "probe/perf_probe.hpp"
#include "session/later_files.hpp"
#include "session/session.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <cerrno>

namespace corebox
{

std::vector<FunctionProbes::Place> FunctionProbes::places() const
{
    std::vector<Place> places;
    for (std::size_t i = 0; i < functions_.size(); i++)
        for (const Point::Site& site : functions_[i].sites)
            places.push_back({i, site.object ? site.object : functions_[i].object, site});
    // A link is for one file.
    std::ranges::stable_sort(places, {}, [](const Place& p) { return p.object.get(); });
    return places;
}

// All of them in one link, or where the kernel refuses one of them, each half by itself. False:
// this leads to nothing.
bool FunctionProbes::link_places(const bpf_program* program, std::span<const Place> places,
                                 std::vector<Copy>& links, unsigned& failures)
{
    UprobeSet set;
    for (const Place& place : places)
        set.add(place.site, place.function + 1);
    // Where the kernel cannot name a process, the program asks too.
    Fd link = link_uprobes(bpf_program__fd(program), at_return(program), *places[0].object, set,
                           only_, true);
    if (link) {
        links.push_back({places[0].function, Fd(), std::move(link)});
        for (const Place& place : places)
            has_place_[place.function] = true;
        return true;
    }
    if (leads_nowhere(errno))
        failures = kMostFailures;
    if (++failures >= kMostFailures)
        return false;
    const std::size_t half = places.size() / 2;
    return half == 0 || (link_places(program, places.first(half), links, failures) &&
                         link_places(program, places.subspan(half), links, failures));
}

std::vector<bpf_link*> FunctionProbes::attach_uprobe_multi(const bpf_program* program)
{
    std::vector<Copy> links;
    unsigned failures = 0;
    by_links_ = true;
    has_place_.assign(functions_.size(), false);
    const std::vector<Place> all = places();
    for (std::size_t first = 0, end = 0; first < all.size(); first = end) {
        while (end < all.size() && all[end].object == all[first].object)
            end++;
        if (!link_places(program, std::span(all).subspan(first, end - first), links, failures))
            return fail_attach(errno);
    }
    const int code = errno;
    attached_ = std::size_t(std::ranges::count(has_place_, true));
    return keep(std::move(links), code);
}

// The event of a place with the program, or its copy for the place's function. False with errno
// set.
bool FunctionProbes::open_place(const bpf_program* program, Copies& copies, const Place& place,
                                std::vector<Copy>& events)
{
    const auto pmu = find_pmu("uprobe");
    Copy probe{place.function, Fd(), Fd(),
               open_uprobe(pmu.value_or(0), at_return(program), *place.object, place.site, only_)};
    if (!probe.event)
        return false;
    const int whole = bpf_program__fd(program);
    if (cookies_) {
        probe.link = link_to(probe.event, whole, place.function + 1);
        cookies_ = probe.link || (errno != EINVAL && errno != EOPNOTSUPP);
    }
    if (!cookies_) {
        int copy = whole;
        if (copies.numbered()) {
            const auto has_copy = [&](const Copy& c) {
                return c.function == place.function && c.program;
            };
            const auto known = std::ranges::find_if(events, has_copy);
            const auto older = std::ranges::find_if(copies_, has_copy);
            if (known != events.end())
                copy = known->program.get();
            else if (older != copies_.end())
                copy = older->program.get();
            else
                copy = (probe.program = copies.load(place.function)).get();
        }
        if (copy < 0 || !run_at(probe.event, copy))
            return false;
    } else if (!probe.link) {
        return false;
    }
    has_place_[place.function] = true;
    events.push_back(std::move(probe));
    return true;
}

std::vector<bpf_link*> FunctionProbes::attach_uprobes(const bpf_program* program)
{
    if (!find_pmu("uprobe"))
        return fail_attach(EOPNOTSUPP);
    Copies copies(program);
    std::vector<Copy> events;
    unsigned failures = 0;
    int code = ENOENT;
    by_links_ = false;
    cookies_ = true;
    has_place_.assign(functions_.size(), false);
    for (const Place& place : places()) {
        if (!cookies_ && copies.numbered() && place.function >= Copies::kMost)
            return fail_attach(E2BIG);
        if (open_place(program, copies, place, events))
            continue;
        code = errno;
        if (++failures >= kMostFailures)
            return fail_attach(code);
    }
    attached_ = std::size_t(std::ranges::count(has_place_, true));
    return keep(std::move(events), code);
}

std::size_t FunctionProbes::attach_in(const bpf_program* program, const LaterPoints& later,
                                      const std::shared_ptr<const ObjectFile>& object)
{
    std::vector<Place> places;
    for (const Point& point : later.find(object))
        for (std::size_t i = 0; i < functions_.size(); i++)
            if (functions_[i].later.get() == &later && functions_[i].name == point.name) {
                for (const Point::Site& site : point.sites)
                    places.push_back({i, object, site});
                break;
            }
    std::vector<Copy> added;
    unsigned failures = 0;
    if (by_links_ && !places.empty())
        link_places(program, places, added, failures);
    Copies copies(program);
    std::size_t attached = 0;
    if (by_links_)
        attached = added.empty() ? 0 : places.size();
    else
        for (const Place& place : places)
            attached += open_place(program, copies, place, added);
    std::ranges::move(added, std::back_inserter(copies_));
    std::ranges::stable_sort(copies_, {}, &Copy::function);
    return attached;
}

void FunctionProbes::attach_later(const Session& session, const bpf_program* program)
{
    std::vector<const LaterPoints*> known;
    for (const Point& point : functions_) {
        const LaterPoints* later = point.later.get();
        if (!later || std::ranges::find(known, later) != known.end())
            continue;
        known.push_back(later);
        LaterFiles& files = *session.later;
        files.watch();
        files.needs_perf_events |= !by_links_;
        const std::size_t taker =
            files.add({.libraries = {later->library},
                       .attach = [this, program, later](const Object& object, std::uint32_t) {
                           return attach_in(program, *later, object);
                       }});
        for (const Place& place : places())
            if (functions_[place.function].later.get() == later)
                files.know(taker, place.object);
        const std::string_view libraries[] = {later->library};
        for (const Object& object : libraries_in_use(libraries)) // since they were listed
            files.attach(taker, object, 0);
    }
}

} // namespace corebox
