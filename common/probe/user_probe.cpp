// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/user_probe.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "probe/copies.hpp"
#include "probe/entry_place.hpp"
#include "probe/ifunc.hpp"
#include "probe/perf_probe.hpp"
#include "probe/usdt_operand.hpp"
#include <algorithm>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <set>
#include <unistd.h>

namespace corebox
{
namespace
{

std::vector<std::string_view> libraries_of(const UserSite& site)
{
    std::vector<std::string_view> libraries(site.libraries.begin(), site.libraries.end());
    std::erase(libraries, "");
    return libraries;
}

bool is_usdt(const UserSite& site) { return !site.provider.empty(); }

std::string_view name_of(const UserSite& site)
{
    if (is_usdt(site))
        return site.probes.empty() ? site.probe : site.probes[0];
    return site.symbols.empty() ? site.symbol : site.symbols[0];
}

bool is_named(const UserSite& site, const UsdtNote& note)
{
    return note.provider == site.provider &&
           (note.name == site.probe ||
            std::ranges::find(site.probes, note.name) != site.probes.end());
}

// Which of the site's symbols it is; nothing: none.
std::optional<std::uint32_t> number_of(const UserSite& site, std::string_view symbol)
{
    if (symbol == site.symbol)
        return 0;
    const auto found = std::ranges::find(site.symbols, symbol);
    if (found == site.symbols.end())
        return std::nullopt;
    return std::uint32_t(found - site.symbols.begin());
}

// "libc, libpthread, ld-musl-*".
std::string list_libraries(const UserSite& site)
{
    const auto name = [](std::string_view library) {
        if (library.starts_with('/') && library.ends_with('/'))
            return std::string(library.substr(1, library.size() - 2));
        if (library.starts_with('/'))
            return cat(library.substr(1), "*");
        return library.find('-') == library.npos ? cat("lib", library) : cat(library, "*");
    };
    std::string list;
    for (const std::string_view library : libraries_of(site))
        list += cat(list.empty() ? "" : ", ", name(library));
    return list;
}

Obstacle find_obstacle(const UserSite& site, std::span<const Object> objects)
{
    if (objects.empty())
        return {Cause::no_object, list_libraries(site)};
    return {Cause::no_symbol, cat(name_of(site), " in ", objects[0]->path)};
}

std::size_t cheap_entry_at(const ObjectFile& object, std::uint64_t offset)
{
    std::uint8_t code[16];
    const ssize_t n = ::pread(object.file.get(), code, sizeof code, off_t(offset));
    return n > 0 ? cheap_entry({code, std::size_t(n)}) : 0;
}

// Attaches one program of a rung, file by file.
class UserAttacher
{
public:
    UserAttacher(LaterFiles& later, const bpf_program* program, const UserSite& site, UserWay way)
        : later_(later), program_(program), site_(site), way_(way), returns_(at_return(program)),
          pmu_(find_pmu("uprobe").value_or(0))
    {
    }

    // The number of places; 0 with errno set.
    std::size_t attach(const Object& object, std::uint32_t pid);

private:
    std::uint32_t number_of(const usdt_site& arguments);
    std::size_t link(const ObjectFile& object, const UprobeSet& set, std::uint32_t pid);
    bool attach_events(const Object& object, const Point::Site& site, std::uint32_t number,
                       std::uint32_t pid);

    LaterFiles& later_;
    const bpf_program* program_;
    const UserSite& site_;
    UserWay way_;
    bool returns_, cookies_ = true;
    std::uint32_t pmu_;
    std::optional<Copies> copies_; // without cookies
    std::vector<Fd> programs_;     // by number
    std::vector<Fd> links_;        // and events without one
};

// Places with the same operands share a number. Too many: one that has none.
std::uint32_t UserAttacher::number_of(const usdt_site& arguments)
{
    const auto same = [&](const usdt_site& k) {
        return std::memcmp(&k, &arguments, sizeof k) == 0;
    };
    auto& all = later_.known_usdt_sites;
    const auto known = std::ranges::find_if(all, same);
    const auto number = std::uint32_t(known - all.begin());
    if (known != all.end())
        return number;
    if (later_.usdt_sites &&
        bpf_map_update_elem(bpf_map__fd(later_.usdt_sites), &number, &arguments, BPF_ANY) == 0)
        all.push_back(arguments);
    return number;
}

bool UserAttacher::attach_events(const Object& object, const Point::Site& site,
                                 std::uint32_t number, std::uint32_t pid)
{
    Fd event = open_uprobe(pmu_, returns_, *object, site, pid);
    if (!event)
        return false;
    if (cookies_) {
        Fd link = link_to(event, bpf_program__fd(program_), number + 1);
        cookies_ = link || (errno != EINVAL && errno != EOPNOTSUPP);
        if (cookies_ && !link)
            return false;
        if (link) {
            links_.push_back(std::move(link));
            return true;
        }
    }
    int program = bpf_program__fd(program_);
    if (!copies_)
        copies_.emplace(program_);
    if (copies_->numbered()) {
        if (number >= programs_.size())
            programs_.resize(number + 1);
        if (!programs_[number])
            programs_[number] = copies_->load(number);
        program = programs_[number].get();
    }
    if (program < 0 || !run_at(event, program))
        return false;
    links_.push_back(std::move(event));
    return true;
}

// All in one link, or if the kernel refuses one of them, each in its own.
std::size_t UserAttacher::link(const ObjectFile& object, const UprobeSet& set, std::uint32_t pid)
{
    Fd link = link_uprobes(bpf_program__fd(program_), returns_, object, set, pid, false);
    const std::size_t count = set.offsets.size();
    if (link) {
        links_.push_back(std::move(link));
        return count;
    }
    std::size_t linked = 0;
    for (std::size_t i = 0; count > 1 && i < count; i++) {
        UprobeSet one;
        one.add({set.offsets[i], set.semaphores[i]}, set.cookies[i]);
        linked += this->link(object, one, pid);
    }
    return linked;
}

std::size_t UserAttacher::attach(const Object& object, std::uint32_t pid)
{
    std::vector<usdt_site> arguments;
    const std::vector<std::uint32_t> pids(pid ? 1 : 0, pid);
    std::vector<std::uint32_t> numbers;
    auto sites = find_sites(later_.files, object, site_, pids,
                            later_.usdt_sites ? &arguments : nullptr, &numbers);
    if (!is_usdt(site_))
        for (Point::Site& place : sites)
            place.offset += cheap_entry_at(*object, place.offset);
    errno = ENOENT;
    if (sites.empty())
        return 0;
    const auto number = [&](std::size_t i) {
        if (i < arguments.size())
            return number_of(arguments[i]);
        return i < numbers.size() ? numbers[i] : 0;
    };
    if (way_ == UserWay::multi) {
        UprobeSet set;
        for (std::size_t i = 0; i < sites.size(); i++)
            set.add(sites[i], number(i) + 1);
        return link(*object, set, pid);
    }
    std::size_t attached = 0;
    for (std::size_t i = 0; i < sites.size(); i++)
        attached += attach_events(object, sites[i], number(i), pid);
    return attached;
}

} // namespace

std::vector<Point::Site> find_sites(const Object& object, const UserSite& site)
{
    KnownFiles files;
    return find_sites(files, object, site);
}

std::vector<Point::Site> find_sites(KnownFiles& files, const Object& object, const UserSite& site,
                                    std::span<const std::uint32_t> pids,
                                    std::vector<usdt_site>* arguments,
                                    std::vector<std::uint32_t>* numbers)
{
    const ElfFile* const elf = files.elf(object);
    if (!elf || !elf->is_64())
        return {};
    std::vector<Point::Site> sites;
    if (site.find)
        return site.find(*object, *elf);
    if (is_usdt(site)) {
        for (const UsdtNote& note : usdt_notes(*elf))
            if (is_named(site, note)) {
                sites.push_back({note.offset, note.semaphore});
                if (arguments)
                    arguments->push_back(parse_site(*elf, note));
            }
        return sites;
    }
    const std::vector<RawSymbol>& symbols = files.symbols(object);
    const std::vector<Segment> segments = elf->segments();
    std::vector<std::uint32_t> known;
    const auto add = [&](std::uint64_t offset, std::uint32_t number) {
        const auto same = std::ranges::find(sites, offset, &Point::Site::offset);
        if (same != sites.end()) {
            std::uint32_t& first = known[std::size_t(same - sites.begin())];
            first = std::min(first, number);
            return;
        }
        sites.push_back({offset, 0});
        known.push_back(number);
    };
    std::set<std::string> ifuncs;
    if (!site.unless.empty() && std::ranges::any_of(symbols, [&](const RawSymbol& symbol) {
            return symbol.type == RawSymbol::Type::function &&
                   symbol.name.substr(0, symbol.name.find('@')) == site.unless;
        }))
        return sites;
    for (const RawSymbol& symbol : symbols) {
        // "pthread_create@@GLIBC_2.34" in a .symtab. A name with one @ is of an older version,
        // which may be other code.
        std::uint64_t offset = 0;
        const std::string_view name = symbol.name.substr(0, symbol.name.find('@'));
        const auto number = number_of(site, name);
        if (!number)
            continue;
        if (symbol.type == RawSymbol::Type::resolver)
            ifuncs.emplace(name);
        if (symbol.type == RawSymbol::Type::function &&
            file_offset(segments, symbol.value, true, offset))
            add(offset, *number);
    }
    if (!ifuncs.empty()) {
        for (const auto& [name, offsets] : follow_ifuncs(*object, ifuncs, pids))
            for (const std::uint64_t offset : offsets)
                add(offset, number_of(site, name).value_or(0));
        if (sites.empty())
            for (const RawSymbol& symbol : symbols)
                if (std::uint64_t offset = 0; symbol.type == RawSymbol::Type::function &&
                                              may_implement(symbol.name, *ifuncs.begin()) &&
                                              file_offset(segments, symbol.value, true, offset))
                    add(offset, number_of(site, *ifuncs.begin()).value_or(0));
    }
    if (site.only_first && !sites.empty()) {
        const std::size_t first = std::size_t(std::ranges::min_element(known) - known.begin());
        sites = {sites[first]};
        known = {known[first]};
    }
    if (numbers)
        *numbers = std::move(known);
    return sites;
}

Obstacle find_site_obstacle(const UserSite& site)
{
    const auto objects = libraries_in_use(libraries_of(site));
    // One that nobody uses yet is waited for.
    if (objects.empty())
        return site.optional || MapWatch() ? Obstacle{} : Obstacle{Cause::no_watch};
    if (std::ranges::any_of(objects, [&](const Object& o) { return !find_sites(o, site).empty(); }))
        return {};
    return find_obstacle(site, objects);
}

Object find_named_object(const Session& session, std::string_view path)
{
    Object object = find_object(path, session.pids.size() == 1 ? session.pids[0] : 0);
    if (!object)
        fail(cat("cannot find ", path), ENOENT);
    return object;
}

std::vector<bpf_link*> attach_user(const Session& session, const bpf_program* program,
                                   const UserSite& site, UserWay way,
                                   std::span<const std::string_view> named,
                                   std::span<const std::string_view> also)
{
    LaterFiles& later = *session.later;
    FileTaker taker{};
    if (named.empty()) {
        for (const std::string_view library : libraries_of(site))
            taker.libraries.emplace_back(library);
        taker.pids = session.pids;
        later.watch();
    }
    later.needs_perf_events |= way == UserWay::perf_events;
    // Copies of the program for files that come later.
    later.loads_programs |=
        way == UserWay::perf_events && Copies(program).numbered() &&
        libbpf_probe_bpf_helper(BPF_PROG_TYPE_KPROBE, BPF_FUNC_get_attach_cookie, nullptr) <= 0;
    const auto attacher = std::make_shared<UserAttacher>(later, program, site, way);
    taker.attach = [attacher](const Object& object, std::uint32_t pid) {
        return attacher->attach(object, pid);
    };
    const auto pids = taker.pids;
    const std::size_t added = later.add(std::move(taker));
    std::vector<Object> all;
    std::size_t places = 0;
    int code = ENOENT;
    const auto attach = [&](std::vector<Object> objects, std::uint32_t pid) {
        for (Object& object : objects) {
            const std::size_t n = later.attach(added, object, pid);
            if (n == 0 && errno != ENOENT)
                code = errno;
            if (n == 0 && !named.empty() && !(site.optional && errno == ENOENT)) {
                if (code == ENOENT)
                    fail(cat("cannot attach to ", object->path),
                         cat("it has no ", is_usdt(site) ? "USDT probe " : "symbol ",
                             name_of(site)));
                fail(cat("cannot attach to ", object->path), code);
            }
            places += n;
            all.push_back(std::move(object));
        }
    };
    const auto attach_to = [&](std::string_view path, std::uint32_t pid) {
        if (Object object = find_object(path))
            attach({std::move(object)}, pid);
    };
    const auto attach_named = [&](std::span<const std::string_view> paths) {
        for (const std::string_view path : paths) {
            const Object object = find_named_object(session, path);
            if (session.pids.empty())
                attach({object}, 0);
            for (const std::uint32_t pid : session.pids)
                attach({object}, pid);
        }
    };
    attach_named(named);
    attach_named(also);
    for (const std::uint32_t pid : pids) {
        attach(later.files.libraries(libraries_of(site), pid), pid);
        if (site.in_program)
            attach_to(cat("/proc/", pid, "/exe"), pid);
    }
    // That a command's own program has none says nothing: it may start another.
    bool none_in_use = false;
    if (named.empty() && pids.empty()) {
        const auto& in_use = later.files.libraries(libraries_of(site));
        none_in_use = in_use.empty();
        attach(in_use, 0);
        if (site.in_program && !session.command.empty())
            attach_to(session.command[0], 0);
    }
    if (places || (site.optional && code == ENOENT))
        return links_elsewhere();
    errno = code;
    if (code == ENOENT)
        later.obstacle = find_obstacle(site, none_in_use ? std::span<const Object>() : all);
    if (code != ENOENT || !named.empty() || !(all.empty() || none_in_use))
        return {};
    // Such a library may be used later.
    if (later.watches())
        return links_elsewhere();
    if (pids.empty())
        later.obstacle = {Cause::no_watch};
    return {};
}

} // namespace corebox
