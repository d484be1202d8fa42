// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tap.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "kernel/facts.hpp"
#include "points_option.hpp"
#include "probe/kernel_functions.hpp"
#include "probe/usdt_operand.hpp"
#include "symbols/usdt.hpp"
#include <algorithm>
#include <cerrno>

namespace corebox
{
namespace
{

#ifdef __aarch64__
constexpr std::string_view kWrapper = "__arm64_sys_";
#else
constexpr std::string_view kWrapper = "__x64_sys_";
#endif

// "sys_clone", the name that kernels before 4.17 had; empty: it is none.
std::string wrapper_of(std::string_view name)
{
    for (const std::string_view prefix : {"sys_", "SyS_"})
        if (name.starts_with(prefix))
            return cat(kWrapper, name.substr(prefix.size()));
    return {};
}

std::vector<Point> kernel_points(PointPattern pattern, const Session& session)
{
    pattern.kind = Point::Kind::kernel; // BCC's ":func"
    pattern.of_program = false;
    if (const std::string wrapper = wrapper_of(pattern.name); !wrapper.empty()) {
        auto points = find_functions(FunctionPattern(wrapper, FunctionPattern::Syntax::glob),
                                     session.types.get());
        if (!points.empty())
            return points;
    }
    std::size_t own = 0;
    auto points = find_points(pattern, FunctionPattern::Syntax::glob, session.pids, &own,
                              session.types.get());
    say_left_out(own, session);
    return points;
}

// What a probe's notes say, in the order of its sites.
struct Operands {
    std::string text;
    std::vector<usdt_operand> operands;
};

// How far behind the instruction a symbol of the file lies.
SymbolDistance distance_from(std::uint64_t instruction, const std::vector<RawSymbol>& symbols,
                             const std::vector<Segment>& segments)
{
    return [=, &symbols](std::string_view name) -> std::optional<std::int64_t> {
        const auto symbol = std::ranges::find_if(symbols, [&](const RawSymbol& s) {
            return s.name.substr(0, s.name.find('@')) == name;
        });
        if (symbol == symbols.end())
            return std::nullopt;
        for (const Segment& s : segments)
            if (instruction >= s.offset && instruction - s.offset < s.file_size)
                return std::int64_t(symbol->value - (s.address + (instruction - s.offset)));
        return std::nullopt;
    };
}

// One tap for all sites of a probe that have their arguments in the same places.
void add_usdt_taps(std::vector<Tap>& taps, const ProbeSpec& spec, const Point& point)
{
    const auto file = open_elf(*point.object);
    if (!file)
        return;
    std::vector<RawSymbol> symbols;
    file->add_symbols(symbols);
    const std::vector<Segment> segments = file->segments();
    std::vector<std::pair<std::string, std::size_t>> known; // operands, and their tap
    for (const UsdtNote& note : usdt_notes(*file)) {
        const auto site = std::ranges::find(point.sites, note.offset, &Point::Site::offset);
        if (cat(note.provider, ":", note.name) != point.name || site == point.sites.end())
            continue;
        auto same = std::ranges::find(known, note.arguments, &decltype(known)::value_type::first);
        // What is relative to the instruction is elsewhere for each.
        if (same == known.end() || note.arguments.find("(%rip)") != std::string::npos) {
            Tap tap{.place = {.kind = PlaceKind::usdt,
                              .of_program = true,
                              .name = point.name,
                              .user_arguments = spec.user_arguments}};
            for (const UsdtArgument& argument : usdt_arguments(note.arguments))
                tap.place.operands.push_back(parse_operand(
                    argument, kThisIsa, distance_from(note.offset, symbols, segments)));
            tap.points.push_back(point);
            tap.points.back().sites.clear();
            known.emplace_back(note.arguments, taps.size());
            same = known.end() - 1;
            taps.push_back(std::move(tap));
        }
        taps[same->second].points.back().sites.push_back(*site);
    }
}

// A 32-bit program's registers and pointers are others.
void check_width(const std::vector<Point>& points)
{
    const ObjectFile* seen = nullptr;
    for (const Point& point : points)
        if (point.object && point.object.get() != seen) {
            seen = point.object.get();
            if (const auto file = open_elf(*seen); file && !file->is_64())
                fail(cat("cannot trace ", seen->path), "it is a 32-bit file");
        }
}

} // namespace

std::vector<Tap> find_taps(const ProbeSpec& spec, const Session& session, bool reads)
{
    std::vector<Tap> taps;
    Tap tap{.place = {.kind = spec.kind,
                      .name = std::string(spec.name.text),
                      .user_arguments = spec.user_arguments},
            .offset = spec.offset};
    if (spec.kind == PlaceKind::raw_tracepoint) {
        tap.points.push_back(
            {.name = std::string(spec.name.text), .kind = Point::Kind::tracepoint});
        tap.may_be_typed = true;
        taps.push_back(std::move(tap));
        return taps;
    }
    const PointPattern& pattern = *spec.pattern;
    // BCC: ":func" is a function of the kernel. With -p it is one of the process' program.
    const bool of_kernel =
        pattern.kind == Point::Kind::kernel || (pattern.of_program && session.pids.empty());
    if (of_kernel) {
        tap.points = kernel_points(pattern, session);
    } else {
        tap.points = find_points(pattern, FunctionPattern::Syntax::glob, session.pids);
    }
    if (tap.points.empty())
        fail(cat("cannot find ",
                 spec.kind == PlaceKind::usdt         ? "a USDT probe "
                 : spec.kind == PlaceKind::tracepoint ? "a tracepoint "
                                                      : "a traceable function ",
                 spec.name.text, pattern.object.empty() ? "" : cat(" in ", pattern.object)),
             ENOENT,
             spec.kind == PlaceKind::usdt ? cat("tplist -l ", pattern.object, " lists those there")
             : spec.kind == PlaceKind::tracepoint ? "tplist lists them"
                                                  : "");
    check_width(tap.points);
    if (spec.kind == PlaceKind::usdt) {
        for (const Point& point : tap.points)
            add_usdt_taps(taps, spec, point);
        return taps;
    }
    if (spec.kind == PlaceKind::tracepoint) {
        if (!reads) {
            taps.push_back(std::move(tap));
            return taps;
        }
        // Each has a record of its own.
        for (Point& point : tap.points) {
            Tap one{.place = tap.place};
            one.place.name = point.name;
            if (auto fields = read_tracepoint_fields(point.name))
                one.place.fields = std::move(*fields);
            else
                fail(cat("cannot read the format of ", point.name), errno);
            one.points.push_back(std::move(point));
            taps.push_back(std::move(one));
        }
        return taps;
    }
    tap.place.of_program = !of_kernel;
    tap.place.is_wrapper = of_kernel && is_syscall_wrapper(tap.points[0].name);
    if (tap.points.size() == 1) {
        tap.place.name = tap.points[0].name;
        tap.may_be_typed = of_kernel && tap.offset == 0;
    }
    for (Point& point : tap.points) {
        if (of_kernel)
            point.offset = tap.offset;
        for (Point::Site& site : point.sites)
            site.offset += tap.offset;
    }
    taps.push_back(std::move(tap));
    return taps;
}

} // namespace corebox
