// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tls.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <bpf/libbpf.h>

namespace corebox
{
namespace
{

// All functions of a program are at one address each: what jumps to another has none. SSL_connect()
// and SSL_accept() call SSL_do_handshake(); SSL_read_early_data() and SSL_write_early_data() call
// the _ex forms; SSL_peek() shows what a read will show.
constexpr std::string_view kOpensslData[] = {"SSL_read", "SSL_read_ex", "SSL_write", "SSL_write_ex",
                                             "SSL_write_ex2"};
constexpr std::string_view kGnutlsData[] = {"gnutls_record_recv", "gnutls_record_recv_seq",
                                            "gnutls_record_send", "gnutls_record_send2"};
constexpr std::string_view kGnutlsRecv[] = {"gnutls_record_recv", "gnutls_record_recv_seq"};
constexpr std::string_view kNssData[] = {"PR_Read", "PR_Recv", "PR_Write", "PR_Send", "PR_Writev"};

constexpr UserSite openssl(std::string_view symbol, std::string_view unless = {})
{
    return {.libraries = {"ssl"},
            .symbol = symbol,
            .in_program = true,
            .optional = true,
            .unless = unless};
}
constexpr UserSite gnutls(std::string_view symbol, std::string_view unless = {})
{
    return {.libraries = {"gnutls"},
            .symbol = symbol,
            .in_program = true,
            .optional = true,
            .unless = unless};
}
constexpr UserSite nss(std::string_view symbol)
{
    return {.libraries = {"nspr4"}, .symbol = symbol, .in_program = true, .optional = true};
}
constexpr UserSite several(std::string_view library, std::span<const std::string_view> symbols)
{
    return {.libraries = {library}, .symbols = symbols, .in_program = true, .optional = true};
}
// NSS has its handshakes in a library of its own; the same file may be in a program.
constexpr UserSite kNssHandshake{
    .libraries = {"ssl3"}, .symbol = "SSL_ForceHandshake", .in_program = true, .optional = true};

struct Placed {
    std::string_view program;
    TlsLibrary library;
    UserSite site;
};

constexpr Placed kPlaced[] = {
    {"o_return", TlsLibrary::openssl, several("ssl", kOpensslData)},
    {"o_read", TlsLibrary::openssl, openssl("SSL_read")},
    {"o_read_ex", TlsLibrary::openssl, openssl("SSL_read_ex")},
    {"o_write", TlsLibrary::openssl, openssl("SSL_write")},
    {"o_write_ex", TlsLibrary::openssl, openssl("SSL_write_ex", "SSL_write_ex2")},
    {"o_write_ex2", TlsLibrary::openssl, openssl("SSL_write_ex2")},
    {"o_handshake", TlsLibrary::openssl, openssl("SSL_do_handshake")},
    {"o_hands_return", TlsLibrary::openssl, openssl("SSL_do_handshake")},
    {"g_return", TlsLibrary::gnutls, several("gnutls", kGnutlsData)},
    {"g_recv", TlsLibrary::gnutls, several("gnutls", kGnutlsRecv)},
    {"g_send", TlsLibrary::gnutls, gnutls("gnutls_record_send", "gnutls_record_send2")},
    {"g_send2", TlsLibrary::gnutls, gnutls("gnutls_record_send2")},
    {"g_handshake", TlsLibrary::gnutls, gnutls("gnutls_handshake")},
    {"g_hands_return", TlsLibrary::gnutls, gnutls("gnutls_handshake")},
    {"n_return", TlsLibrary::nss, several("nspr4", kNssData)},
    {"n_read", TlsLibrary::nss, nss("PR_Read")},
    {"n_recv", TlsLibrary::nss, nss("PR_Recv")},
    {"n_write", TlsLibrary::nss, nss("PR_Write")},
    {"n_send", TlsLibrary::nss, nss("PR_Send")},
    {"n_writev", TlsLibrary::nss, nss("PR_Writev")},
    {"n_handshake", TlsLibrary::nss, kNssHandshake},
    {"n_hands_return", TlsLibrary::nss, kNssHandshake},
};

const Placed& place_of(std::string_view program)
{
    const auto found = std::ranges::find(kPlaced, program, &Placed::program);
    if (found == std::end(kPlaced))
        fail(cat("cannot attach ", program), "it has no place", "this is a bug");
    return *found;
}

bool has_files(const TlsOptions& options, TlsLibrary library)
{
    return std::ranges::find(options.files, library, &TlsFile::library) != options.files.end();
}

void check_files(const TlsOptions& options, const Session& session)
{
    KnownFiles known; // each file is asked for every function
    for (const TlsFile& file : options.files) {
        const Object object = find_named_object(session, file.path);
        if (std::ranges::none_of(kPlaced, [&](const Placed& placed) {
                return placed.library == file.library &&
                       !find_sites(known, object, placed.site).empty();
            }))
            fail(cat("cannot attach to ", file.path),
                 cat("it has no function of ", kTlsLibraries[std::size_t(file.library)]),
                 "check TYPE, and that the file is not stripped");
    }
}

} // namespace

std::string TlsFile::parse(std::string_view s, TlsFile& out)
{
    const std::size_t colon = s.find(':');
    const auto type = std::ranges::find(kTlsLibraries, s.substr(0, colon));
    if (colon == s.npos || colon + 1 == s.size() || type == std::end(kTlsLibraries))
        return "TYPE:PATH with a type of openssl, gnutls or nss";
    out.library = TlsLibrary(type - std::begin(kTlsLibraries));
    out.path = s.substr(colon + 1);
    return {};
}

std::vector<bpf_link*> attach_tls(const Session& session, const TlsOptions& options,
                                  const bpf_program* program, UserWay way)
{
    const Placed& placed = place_of(bpf_program__name(program));
    std::vector<std::string_view> files;
    for (const TlsFile& file : options.files)
        if (file.library == placed.library)
            files.push_back(file.path);
    if (options.is_off(placed.library))
        return attach_user(session, program, placed.site, way, files);
    return attach_user(session, program, placed.site, way, {}, files);
}

Obstacle find_tls_obstacle(const Facts& facts, TlsLibrary library)
{
    constexpr std::string_view kReturns[] = {"o_return", "g_return", "n_return"};
    return facts.user_site ? facts.user_site(place_of(kReturns[std::size_t(library)]).site)
                           : Obstacle{};
}

void choose_tls(TlsOptions& options, const Session& session, std::span<const Need> needs,
                bool handshakes)
{
    check_files(options, session);
    options.needs.clear();
    for (const TlsLibrary library : {TlsLibrary::openssl, TlsLibrary::gnutls, TlsLibrary::nss}) {
        if (options.is_off(library) && !has_files(options, library))
            continue;
        options.needs.push_back(needs[2 * std::size_t(library)]);
        if (handshakes)
            options.needs.push_back(needs[2 * std::size_t(library) + 1]);
    }
    if (options.needs.empty())
        fail_usage("--no-openssl, --no-gnutls and --no-nss leave nothing to trace");
    options.needs.push_back(needs.back());
}

void say_tls(const Session& session)
{
    if (session.later->places() == 0)
        say(session.tool, "no TLS library found yet; for a static program, see --extra-lib");
}

} // namespace corebox
