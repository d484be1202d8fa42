// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes of programs as rungs: a function of a library, at its entry or return (a program of
// section "uprobe" or "uretprobe"), or a USDT probe with its semaphore. A tool writes a line:
//
//     constexpr UserSite kCreate{.libraries = {"c", "pthread", "ld-musl-"},
//                                .symbol = "pthread_create"};
//     ... .rungs = {user_rung<&P::pthread_create, kCreate, Options>("threads ...")}
//
// Where it is attached: in the files that the option of the member `libraries` names, if Options
// has one; else in the files of the processes of -p, in these processes alone; else in every
// distinct file of these libraries that some process maps (containers and chroots, musl and glibc
// side by side, files that an update has replaced) and in this host's. Programs that start later
// are traced in all those files. A file that no process maps when the tool starts, as that of a
// container that starts later, is not: attaching takes privileges, which the tool has given up by
// then.
#pragma once
#include "probe/ladder.hpp"
#include "probe/user_files.hpp"
#include "session/session.hpp"
#include <array>
#include <optional>

namespace corebox
{

struct UserSite {
    // Names as in -lNAME ("c"), or how names of files begin ("ld-musl-").
    std::array<std::string_view, 4> libraries{};
    std::string_view symbol{};            // a function
    std::string_view provider{}, probe{}; // or a USDT probe
};

// Where a file has it: several where a USDT probe was inlined, none where it has not. A 32-bit file
// has none: its calls have their arguments elsewhere. An IFUNC is followed to the code that these
// processes call for it (all, if there are none).
std::vector<Point::Site> find_sites(const Object& object, const UserSite& site,
                                    std::span<const std::uint32_t> pids = {});

// What an AttachFn does. `named`: files that the user named, in which it must be.
std::vector<bpf_link*> attach_user(const Session& session, const bpf_program* program,
                                   const UserSite& site,
                                   std::span<const std::string_view> named = {});

template <auto Program, const UserSite& Site, class Options>
consteval Rung user_rung(std::string_view blind = {})
{
    return rung<Program>("uprobe", blind, [](const Session& session, const bpf_program* program) {
        if constexpr (requires(const Options& o) { o.libraries; })
            return attach_user(session, program, Site, session.options_as<Options>().libraries);
        else
            return attach_user(session, program, Site);
    });
}

} // namespace corebox
