// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes of programs as rungs: a function of a library, at its entry or return (a program of
// section "uprobe" or "uretprobe"), or a USDT probe with its semaphore. A tool writes a line:
//
//     constexpr UserSite kCreate{.libraries = {"c", "pthread", "ld-musl-"},
//                                .symbol = "pthread_create"};
//     ... .rungs = user_rungs<&P::pthread_create, kCreate, Options>("threads ...")
//
// Where it is attached: in the files that the option of the member `libraries` names, if Options
// has one; else in the files of the processes of -p, in these processes alone; else in every
// distinct file of these libraries that some process maps (containers and chroots, musl and glibc
// side by side, files that an update has replaced) and in this host's. Programs that start later
// are traced in all those files, and files that processes map later are attached to as they appear
// (session/later_files.hpp). A program that asks for arguments of a USDT probe includes
// bpf/usdt.bpf.h.
#pragma once
#include "abi/usdt.h"
#include "probe/ladder.hpp"
#include "probe/uprobe.hpp"
#include "session/later_files.hpp"
#include "session/session.hpp"
#include <array>
#include <optional>

namespace corebox
{

struct UserSite {
    // Names as in -lNAME ("c"), or how names of files begin ("ld-musl-", "/python3").
    std::array<std::string_view, 10> libraries{};
    std::string_view symbol{}; // a function
    // Or several; two names of one place are one. A program that asks where it runs
    // (bpf/point_number.bpf.h) gets the number of the first of them.
    std::span<const std::string_view> symbols{};
    bool only_first = false;                    // of the symbols that a file has
    std::string_view provider{}, probe{};       // or a USDT probe
    std::span<const std::string_view> probes{}; // or several of the provider
    // Or what no name leads to. `symbol` is then what messages call it.
    std::vector<Point::Site> (*find)(const ObjectFile&, const ElfFile&) = nullptr;
    // The processes of -p, and the command, may have it in their program besides (an allocator that
    // is linked into it).
    bool in_program = false;
    bool optional = false; // files need not have it, not even those that the user names
    // Not in files that have this function too, which then is the one that does the work.
    std::string_view unless{};
};

// Where a file has it: several where a USDT probe was inlined, none where it has not. A 32-bit file
// has none: its calls have their arguments elsewhere. An IFUNC is followed to the code that these
// processes call for it (all, if there are none). `arguments`: those of each place of a USDT probe.
// `numbers`: which of the symbols each place is.
std::vector<Point::Site> find_sites(const Object& object, const UserSite& site);
std::vector<Point::Site> find_sites(KnownFiles& files, const Object& object, const UserSite& site,
                                    std::span<const std::uint32_t> pids = {},
                                    std::vector<usdt_site>* arguments = nullptr,
                                    std::vector<std::uint32_t>* numbers = nullptr);

// Why it could not be attached anywhere now: no such library, no such symbol in them.
Obstacle find_site_obstacle(const UserSite& site);

// What an AttachFn does. `named`: files that the user named, in which it must be. `also`: files in
// which it is attached besides, if it is there.
enum class UserWay : std::uint8_t { multi, perf_events };
std::vector<bpf_link*> attach_user(const Session& session, const bpf_program* program,
                                   const UserSite& site, UserWay way,
                                   std::span<const std::string_view> named = {},
                                   std::span<const std::string_view> also = {});

// A file that the user named, as the traced process sees it, if there is one. Fails where there is
// none.
Object find_named_object(const Session& session, std::string_view path);

namespace detail
{

template <auto Program, const UserSite& Site, class Options, UserWay Way>
consteval Rung user_rung(std::string_view name, std::string_view blind)
{
    return rung<Program>(
        name, blind,
        [](const Session& session, const bpf_program* program) {
            if constexpr (requires(const Options& o) { o.libraries; })
                return attach_user(session, program, Site, Way,
                                   session.options_as<Options>().libraries);
            else
                return attach_user(session, program, Site, Way);
        },
        [](const Facts& facts) { return facts.user_site ? facts.user_site(Site) : Obstacle{}; });
}

} // namespace detail

// One link a file where the kernel has uprobe.multi (6.6), and else perf events.
template <auto Program, const UserSite& Site, class Options>
consteval std::array<Rung, 5> user_rungs(std::string_view blind = {})
{
    return {with_function(
                detail::user_rung<Program, Site, Options, UserWay::multi>("uprobe.multi", blind),
                kUprobeMultiFunction),
            detail::user_rung<Program, Site, Options, UserWay::perf_events>("uprobe", blind)};
}

} // namespace corebox
