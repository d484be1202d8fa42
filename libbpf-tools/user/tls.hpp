// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where the functions of TLS libraries are, and the options that say which of them are traced. A
// tool whose kernel side includes tls.bpf.h has kTlsNeeds<P> and these options.
#pragma once
#include "probe/launch.hpp"
#include "probe/user_probe.hpp"
#include "tls.h"
#include "tool/option.hpp"
#include <memory>

namespace corebox
{

enum class TlsLibrary : std::uint8_t { openssl, gnutls, nss };
inline constexpr std::string_view kTlsLibraries[] = {"openssl", "gnutls", "nss"};

// By enum tls_function.
inline constexpr std::string_view kTlsFunctions[TLS_FUNCTIONS] = {"SSL_read",
                                                                  "SSL_read_ex",
                                                                  "SSL_write",
                                                                  "SSL_write_ex",
                                                                  "SSL_do_handshake",
                                                                  "gnutls_record_recv",
                                                                  "gnutls_record_send",
                                                                  "gnutls_handshake",
                                                                  "PR_Read",
                                                                  "PR_Recv",
                                                                  "PR_Write",
                                                                  "PR_Send",
                                                                  "PR_Writev",
                                                                  "SSL_ForceHandshake"};
inline constexpr std::string_view kTlsLibraryOf[TLS_FUNCTIONS] = {
    "openssl", "openssl", "openssl", "openssl", "openssl", "gnutls", "gnutls",
    "gnutls",  "nss",     "nss",     "nss",     "nss",     "nss",    "nss"};

// "openssl:/opt/app/lib/libssl.so.3", or a program that has the library in itself.
struct TlsFile {
    TlsLibrary library = TlsLibrary::openssl;
    std::string_view path;

    static std::string parse(std::string_view s, TlsFile& out);
};

struct TlsOptions {
    bool no_openssl = false, no_gnutls = false, no_nss = false;
    std::vector<TlsFile> files;
    std::vector<Need> needs; // of this run

    bool is_off(TlsLibrary library) const
    {
        return library == TlsLibrary::openssl  ? no_openssl
               : library == TlsLibrary::gnutls ? no_gnutls
                                               : no_nss;
    }
};

// Of options that begin with TlsOptions.
inline constexpr Option kTlsOptions[] = {
    flag<&TlsOptions::no_openssl>('o', "no-openssl", "Skip OpenSSL"),
    flag<&TlsOptions::no_gnutls>('g', "no-gnutls", "Skip GnuTLS"),
    flag<&TlsOptions::no_nss>('n', "no-nss", "Skip NSS"),
    opt<&TlsOptions::files>(0, "extra-lib", "TYPE:PATH,...",
                            "Trace this file: openssl, gnutls or nss", {}, {}, "file"),
};

// What an AttachFn does, for a program of tls.bpf.h.
std::vector<bpf_link*> attach_tls(const Session& session, const TlsOptions& options,
                                  const bpf_program* program, UserWay way);
Obstacle find_tls_obstacle(const Facts& facts, TlsLibrary library);

// Of needs in the order of kTlsNeeds those that this run has. Fails where that is none, or a file
// of
// --extra-lib has no such function.
void choose_tls(TlsOptions& options, const Session& session, std::span<const Need> needs,
                bool handshakes);
// Says it where no library is there yet.
void say_tls(const Session& session);

// Before the programs are detached.
template <Skel S>
void end_tls(S& s, auto&)
{
    s.bss->tls_is_ending = true;
}

namespace detail
{

template <class Options, TlsLibrary Library, auto... Programs>
consteval std::array<Rung, 5> tls_rungs()
{
    constexpr auto multi = [](const Session& session, const bpf_program* program) {
        return attach_tls(session, session.options_as<Options>(), program, UserWay::multi);
    };
    constexpr auto events = [](const Session& session, const bpf_program* program) {
        return attach_tls(session, session.options_as<Options>(), program, UserWay::perf_events);
    };
    constexpr auto obstacle = [](const Facts& facts) { return find_tls_obstacle(facts, Library); };
    constexpr std::string_view kBlind =
        "the first milliseconds of a library that no process used before; TLS without such a "
        "library (Go, Java, rustls)";
    return {with_function(rung<Programs...>("uprobe.multi", kBlind, multi, obstacle),
                          kUprobeMultiFunction),
            rung<Programs...>("uprobe", kBlind, events, obstacle)};
}

} // namespace detail

// The returns come first: a call that begins before they are attached would seem to have no end.
template <class P, class Options>
inline constexpr Need kTlsNeeds[] = {
    {.what = "reads and writes by OpenSSL",
     .rungs = detail::tls_rungs<Options, TlsLibrary::openssl, &P::o_return, &P::o_read,
                                &P::o_read_ex, &P::o_write, &P::o_write_ex, &P::o_write_ex2>(),
     .chosen = true},
    {.what = "handshakes by OpenSSL",
     .rungs =
         detail::tls_rungs<Options, TlsLibrary::openssl, &P::o_hands_return, &P::o_handshake>(),
     .chosen = true},
    {.what = "reads and writes by GnuTLS",
     .rungs = detail::tls_rungs<Options, TlsLibrary::gnutls, &P::g_return, &P::g_recv, &P::g_send,
                                &P::g_send2>(),
     .chosen = true},
    {.what = "handshakes by GnuTLS",
     .rungs = detail::tls_rungs<Options, TlsLibrary::gnutls, &P::g_hands_return, &P::g_handshake>(),
     .chosen = true},
    {.what = "reads and writes by NSS",
     .rungs = detail::tls_rungs<Options, TlsLibrary::nss, &P::n_return, &P::n_read, &P::n_recv,
                                &P::n_write, &P::n_send, &P::n_writev>(),
     .chosen = true},
    {.what = "handshakes by NSS",
     .rungs = detail::tls_rungs<Options, TlsLibrary::nss, &P::n_hands_return, &P::n_handshake>(),
     .chosen = true},
    // As every need here, one that a run chooses. Without it the map of calls fills up.
    {.what = "threads that end", .rungs = {rung<&P::tls_thread_end>("raw_tp")}, .chosen = true},
};

} // namespace corebox
