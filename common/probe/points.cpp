// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/points.hpp"
#include "base/directory.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "kernel/facts.hpp"
#include "probe/ifunc.hpp"
#include "probe/ladder.hpp"
#include "symbols/demangle.hpp"
#include "symbols/elf.hpp"
#include "symbols/file.hpp"
#include "symbols/usdt.hpp"
#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <sys/stat.h>

namespace corebox
{
namespace
{

// The first process of a list, or none: 0.
std::span<const std::uint32_t> processes(std::span<const std::uint32_t> pids)
{
    static constexpr std::uint32_t kNone[] = {0};
    return pids.empty() ? std::span<const std::uint32_t>(kNone) : pids;
}

// Each file once, in however many processes it is.
std::vector<Object> objects_of(const PointPattern& pattern, std::span<const std::uint32_t> pids)
{
    std::vector<Object> objects;
    for (const std::uint32_t pid : processes(pids)) {
        if (pattern.of_program) {
            if (!pid)
                fail_usage("a pattern that begins with ':' requires -p");
            objects.push_back(open_object(Fd(), cat("/proc/", pid, "/exe")));
        } else if (pattern.object.empty()) {
            if (!pid)
                fail_usage("missing library or program; use u:LIB:PROBE or -p PID");
            std::ranges::move(mapped_objects(pid), std::back_inserter(objects));
        } else {
            objects.push_back(find_object(pattern.object, pid));
        }
        if (!objects.empty() && !objects.back())
            fail(cat("cannot find a library, program or file ",
                     pattern.object.empty() ? "of the process" : pattern.object,
                     pid ? cat(" in process ", pid) : ""),
                 ENOENT);
    }
    drop_duplicates(objects);
    return objects;
}

// Of a C++ or Rust symbol the name in the source too.
bool names(const FunctionPattern& pattern, std::string_view symbol, std::string_view source)
{
    return pattern.matches(symbol) || (source != symbol && pattern.matches(source));
}

// Returns an IFUNC that the pattern chooses, and of which nothing tells what code it stands for.
std::string add_functions(std::vector<Point>& points, const Object& object, const ElfFile& file,
                          const FunctionPattern& pattern, const Opener& open,
                          std::span<const std::uint32_t> pids = {})
{
    const std::vector<Segment> segments = file.segments();
    struct Function {
        std::uint32_t rank;
        std::string name;
    };
    std::map<std::uint64_t, Function> functions; // by offset
    std::set<std::string> ifuncs;
    std::map<std::string, std::set<std::uint64_t>> candidates; // of each of them
    with_symbols(file, object->path, open, [&](const std::vector<RawSymbol>& symbols) {
        // Resolvers of IFUNCs are called once, by the loader; they may have names of their own.
        std::set<std::uint64_t> resolvers;
        for (const RawSymbol& symbol : symbols)
            if (symbol.type == RawSymbol::Type::resolver)
                resolvers.insert(symbol.value);
        for (const RawSymbol& symbol : symbols) {
            const auto version = symbol.name.find('@');
            const std::string_view name =
                version == 0 ? symbol.name : symbol.name.substr(0, version);
            if (symbol.type == RawSymbol::Type::resolver && pattern.matches(name))
                ifuncs.emplace(name);
            const bool itanium = name.starts_with("_Z"),
                       encoded = itanium || name.starts_with("_R");
            if (symbol.type != RawSymbol::Type::function || resolvers.contains(symbol.value) ||
                name.find(".cold") != name.npos || (!encoded && !pattern.matches(name)) ||
                (itanium && !pattern.may_match_encoded(name)))
                continue;
            std::string source(name);
            if (encoded)
                source = demangled(source.c_str());
            std::uint64_t offset = 0;
            if (!names(pattern, name, source) || !file_offset(segments, symbol.value, true, offset))
                continue;
            const auto [at, is_new] = functions.try_emplace(offset, Function{symbol.rank, source});
            if (!is_new && symbol.rank < at->second.rank)
                at->second = {symbol.rank, source};
        }
        for (const RawSymbol& symbol : symbols)
            for (const std::string& name : ifuncs)
                if (std::uint64_t offset = 0; symbol.type == RawSymbol::Type::function &&
                                              may_implement(symbol.name, name) &&
                                              file_offset(segments, symbol.value, true, offset))
                    candidates[name].insert(offset);
    });
    // What they stand for has a name of its own only in debug files.
    const auto followed = follow_ifuncs(*object, ifuncs, pids);
    for (const auto& [name, offsets] : followed)
        for (const std::uint64_t offset : offsets)
            functions.insert_or_assign(offset, Function{0, name});
    for (auto& [offset, function] : functions)
        points.push_back({.name = std::move(function.name),
                          .kind = Point::Kind::user,
                          .object = object,
                          .sites = {{offset, 0}}});
    std::string unknown;
    for (const std::string& name : ifuncs) {
        if (followed.contains(name))
            continue;
        const auto found = candidates.find(name);
        if (found == candidates.end()) {
            unknown = name;
            continue;
        }
        Point point{.name = name, .kind = Point::Kind::user, .object = object};
        for (const std::uint64_t offset : found->second)
            point.sites.push_back({offset, 0});
        points.push_back(std::move(point));
    }
    return unknown;
}

[[noreturn]] void fail_unbound(std::string_view name, std::string_view library)
{
    fail(cat("cannot trace ", name, " in ", library), 0,
         "the library chooses its code when a program first calls it, and no process has; start "
         "such a program, or install the library's debug symbols");
}

void add_probes(std::vector<Point>& points, const Object& object, const ElfFile& file,
                const PointPattern& which, const FunctionPattern& pattern,
                const std::optional<FunctionPattern>& provider)
{
    const std::size_t first = points.size();
    for (const UsdtNote& note : usdt_notes(file)) {
        if (!pattern.matches(note.name) || (provider && !provider->matches(note.provider)))
            continue;
        std::string name = cat(note.provider, ":", note.name);
        auto point = std::ranges::find(points.begin() + std::ptrdiff_t(first), points.end(), name,
                                       &Point::name);
        if (point == points.end())
            point = points.insert(
                points.end(), Point{.name = std::move(name), .kind = which.kind, .object = object});
        const auto same = [&](const Point::Site& site) { return site.offset == note.offset; };
        if (std::ranges::none_of(point->sites, same))
            point->sites.push_back({note.offset, note.semaphore});
    }
}

std::vector<Point> find_tracepoints(const PointPattern& which, FunctionPattern::Syntax syntax)
{
    const bool exact = which.name.find_first_of("*?[\\.^$+(){}|") == which.name.npos;
    // One that is named needs no list.
    if (exact && tracefs_path().empty())
        return {{.name = std::string(which.name), .kind = Point::Kind::tracepoint}};
    const FunctionPattern pattern(which.name, syntax);
    std::vector<Point> points;
    for (std::string& name : all_tracepoints())
        if (pattern.matches(name))
            points.push_back({.name = std::move(name), .kind = Point::Kind::tracepoint});
    return points;
}

} // namespace

PointPattern::PointPattern(std::string_view text)
{
    const auto cut = [&](std::string_view& rest) {
        const auto at = rest.find(':');
        const std::string_view part = rest.substr(0, at);
        rest = at == rest.npos ? std::string_view{} : rest.substr(at + 1);
        return part;
    };
    // A path may have colons: the longest beginning that is a file.
    const auto cut_object = [&](std::string_view& rest) {
        if (rest.find('/') < rest.find(':'))
            for (auto at = rest.rfind(':'); at != rest.npos && at > 0; at = rest.rfind(':', at - 1))
                if (struct stat info{};
                    ::stat(std::string(rest.substr(0, at)).c_str(), &info) == 0) {
                    const std::string_view part = rest.substr(0, at);
                    rest.remove_prefix(at + 1);
                    return part;
                }
        return cut(rest);
    };
    std::string_view rest = text;
    const auto colons = std::ranges::count(text, ':');
    const auto first = text.find(':');
    if (colons == 0) {
        name = text;
    } else if (colons >= 2 && first == 1 &&
               std::string_view("prtu").find(text[0]) != std::string_view::npos) {
        const char type = cut(rest)[0];
        returns = type == 'r';
        if (type == 't') {
            kind = Point::Kind::tracepoint;
            name = rest;
        } else {
            object = cut_object(rest);
            kind = type == 'u'      ? Point::Kind::usdt
                   : object.empty() ? Point::Kind::kernel
                                    : Point::Kind::user;
            if (type == 'u' && rest.find(':') != rest.npos)
                provider = cut(rest);
            name = rest;
        }
    } else if (first == 0 && text.starts_with("::")) { // BCC: the type may be left out
        name = text.substr(2);
    } else {
        kind = Point::Kind::user;
        object = cut_object(rest);
        of_program = object.empty();
        name = rest;
    }
    if (name.empty())
        fail_usage(cat("'", text, "' matches nothing to trace"));
    if (kind == Point::Kind::tracepoint && name.find(':') == name.size() - 1)
        fail_usage(cat("'", text, "' is not of the form t:CATEGORY:EVENT"));
}

std::vector<std::string> all_tracepoints()
{
    const std::string tracefs = tracefs_path();
    if (tracefs.empty())
        if (const Obstacle o = find_obstacle("tracepoint", live_facts()); o)
            fail("cannot list tracepoints", o.text(), o.fix());
    const std::string events = cat(tracefs, "/events");
    std::vector<std::string> names;
    for (const std::string& category : list_entries(events))
        if (category != "ftrace") // of the tracer itself: nothing can be attached to them
            for (const std::string& event : list_entries(cat(events, "/", category)))
                if (reachable(cat(events, "/", category, "/", event, "/id")))
                    names.push_back(cat(category, ":", event));
    std::ranges::sort(names);
    return names;
}

std::vector<Point> find_functions_in(std::span<const std::shared_ptr<const ObjectFile>> objects,
                                     const FunctionPattern& pattern)
{
    const Opener open = [](const std::string& path) { return open_regular(path); };
    std::vector<Point> points;
    for (const Object& object : objects)
        if (const auto file = open_elf(*object))
            add_functions(points, object, *file, pattern, open);
    return points;
}

namespace
{

// Those of one file.
class PointFinder
{
public:
    PointFinder(const PointPattern& which, FunctionPattern::Syntax syntax)
        : which_(which), pattern_(which.name, syntax)
    {
        if (!which.provider.empty())
            provider_.emplace(which.provider, syntax);
    }
    // False: it is no ELF file.
    bool add(std::vector<Point>& points, const Object& object, const Opener& open,
             std::span<const std::uint32_t> pids)
    {
        const auto file = open_elf(*object);
        if (file && which_.kind == Point::Kind::user) {
            if (auto name = add_functions(points, object, *file, pattern_, open, pids);
                !name.empty())
                unbound_ = std::pair(std::move(name), object);
        } else if (file)
            add_probes(points, object, *file, which_, pattern_, provider_);
        return file.has_value();
    }
    // Where nothing was found.
    void explain_nothing() const
    {
        if (unbound_)
            fail_unbound(unbound_->first, unbound_->second->path);
    }

private:
    PointPattern which_;
    FunctionPattern pattern_;
    std::optional<FunctionPattern> provider_;
    std::optional<std::pair<std::string, Object>> unbound_; // an IFUNC
};

// Whether a pattern names a library that any process may have, in files of its own.
bool is_shared_library(const PointPattern& which, std::span<const std::uint32_t> pids)
{
    return (which.kind == Point::Kind::user || which.kind == Point::Kind::usdt) && pids.empty() &&
           !which.of_program && !which.object.empty() &&
           which.object.find('/') == which.object.npos;
}

} // namespace

std::vector<Point> find_points(const PointPattern& which, FunctionPattern::Syntax syntax,
                               std::span<const std::uint32_t> pids, std::size_t* own,
                               KernelBtf* types)
{
    const FunctionPattern pattern(which.name, syntax);
    if (which.kind == Point::Kind::kernel) {
        auto functions = find_functions(pattern, types);
        const std::size_t left_out = leave_out_own(functions, pattern);
        if (own)
            *own = left_out;
        if (functions.empty() && pattern.exact())
            fail(cat("cannot trace ", which.name), explain_untraceable(which.name));
        return functions;
    }
    if (which.kind == Point::Kind::tracepoint)
        return find_tracepoints(which, syntax);
    PointFinder finder(which, syntax);
    const Fd root = root_of(pids.empty() ? 0 : pids[0]);
    const Opener open = [&](const std::string& path) { return open_regular_in(root.get(), path); };
    std::vector<Point> points;
    for (const Object& object : objects_of(which, pids))
        // Among many mapped files some are not.
        if (!finder.add(points, object, open, pids) && (!which.object.empty() || which.of_program))
            fail(cat("cannot read ", object->path), "it is not an ELF file");
    if (points.empty())
        finder.explain_nothing();
    return points;
}

std::vector<Point> find_points_everywhere(const PointPattern& which, FunctionPattern::Syntax syntax,
                                          std::span<const std::uint32_t> pids, std::size_t* own)
{
    if (!is_shared_library(which, pids))
        return find_points(which, syntax, pids, own);
    const std::string_view libraries[] = {which.object};
    std::vector<Object> objects = libraries_in_use(libraries);
    Object first = find_object(which.object);
    const bool is_program = first && !is_library(first->path, which.object);
    if (is_program || (!first && objects.empty()))
        return find_points(which, syntax, pids, own);
    if (first) // the one that is named in rows
        objects.insert(objects.begin(), std::move(first));
    drop_duplicates(objects);
    const auto finder = std::make_shared<PointFinder>(which, syntax);
    const Opener open = [](const std::string& path) { return open_regular(path); };
    const auto later = std::make_shared<const LaterPoints>(
        LaterPoints{std::string(which.object), [finder](const Object& object) {
                        std::vector<Point> points;
                        finder->add(points, object, {}, {});
                        return points;
                    }});
    std::vector<Point> points;
    std::map<std::string, std::size_t> numbers; // of those of files before
    for (const Object& object : objects) {
        std::vector<Point> found;
        finder->add(found, object, open, pids);
        const std::size_t known = points.size();
        for (Point& point : found) {
            point.later = later;
            const auto number = numbers.find(point.name);
            if (number == numbers.end()) {
                points.push_back(std::move(point));
                continue;
            }
            for (Point::Site& site : point.sites) {
                site.object = object;
                points[number->second].sites.push_back(std::move(site));
            }
        }
        for (std::size_t i = known; i < points.size(); i++)
            numbers.try_emplace(points[i].name, i);
    }
    if (points.empty())
        finder->explain_nothing();
    return points;
}

} // namespace corebox
