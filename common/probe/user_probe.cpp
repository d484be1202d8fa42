// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/user_probe.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "probe/ifunc.hpp"
#include "symbols/usdt.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <cerrno>

namespace corebox
{
namespace
{

struct Place {
    Object object;
    pid_t pid; // -1: in all processes
};

std::vector<Place> find_places(const Session& session, const UserSite& site,
                               std::span<const std::string_view> named)
{
    constexpr pid_t kAnyProcess = -1;
    std::vector<Place> places;
    for (const std::string_view path : named) {
        Object object = find_object(path);
        if (!object)
            fail(cat("cannot find ", path), ENOENT);
        places.push_back({std::move(object), kAnyProcess});
    }
    if (!named.empty())
        return places;
    std::vector<std::string_view> libraries(site.libraries.begin(), site.libraries.end());
    std::erase(libraries, "");
    for (const std::uint32_t pid : session.pids)
        for (Object& object : libraries_of(pid, libraries))
            places.push_back({std::move(object), pid_t(pid)});
    if (session.pids.empty())
        for (Object& object : libraries_in_use(libraries))
            places.push_back({std::move(object), kAnyProcess});
    return places;
}

} // namespace

std::vector<Point::Site> find_sites(const Object& object, const UserSite& site,
                                    std::span<const std::uint32_t> pids)
{
    const auto elf = open_elf(*object);
    if (!elf || !elf->is_64())
        return {};
    std::vector<Point::Site> sites;
    if (!site.probe.empty()) {
        for (const UsdtNote& note : usdt_notes(*elf))
            if (note.name == site.probe && note.provider == site.provider)
                sites.push_back({note.offset, note.semaphore});
        return sites;
    }
    std::vector<RawSymbol> symbols;
    elf->add_symbols(symbols);
    const std::vector<Segment> segments = elf->segments();
    bool is_ifunc = false;
    for (const RawSymbol& symbol : symbols) {
        // "pthread_create@@GLIBC_2.34" in a .symtab. A name with one @ is of an older version,
        // which may be other code.
        std::uint64_t offset = 0;
        if (symbol.name.substr(0, symbol.name.find('@')) != site.symbol)
            continue;
        is_ifunc |= symbol.type == RawSymbol::Type::resolver;
        if (symbol.type == RawSymbol::Type::function &&
            file_offset(segments, symbol.value, true, offset) &&
            std::ranges::find(sites, offset, &Point::Site::offset) == sites.end())
            sites.push_back({offset, 0});
    }
    if (is_ifunc)
        for (const auto& [name, offsets] : follow_ifuncs(*object, {std::string(site.symbol)}, pids))
            for (const std::uint64_t offset : offsets)
                sites.push_back({offset, 0});
    return sites;
}

std::vector<bpf_link*> attach_user(const Session& session, const bpf_program* program,
                                   const UserSite& site, std::span<const std::string_view> named)
{
    std::vector<bpf_link*> links;
    int code = ENOENT;
    for (const auto& [object, pid] : find_places(session, site, named)) {
        const auto sites = find_sites(object, site, session.pids);
        if (sites.empty() && !named.empty())
            fail(cat("cannot attach to ", object->path),
                 cat("it has no ", site.probe.empty() ? "symbol " : "USDT probe ",
                     site.probe.empty() ? site.symbol : site.probe));
        // That very file, wherever it is.
        const std::string path = cat("/proc/self/fd/", object->file.get());
        for (const auto& [offset, semaphore] : sites) {
            bpf_uprobe_opts options{};
            options.sz = sizeof options;
            options.ref_ctr_offset = semaphore;
            options.retprobe = at_return(program);
            bpf_link* link =
                bpf_program__attach_uprobe_opts(program, pid, path.c_str(), offset, &options);
            if (link)
                links.push_back(link);
            else
                code = errno;
        }
    }
    if (links.empty())
        errno = code;
    return links;
}

} // namespace corebox
