// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "tool/option.hpp"
#include <algorithm>

namespace corebox
{

namespace detail
{

std::string must_be_number(const Range& range, std::int64_t type_min, std::uint64_t type_max)
{
    const std::int64_t low = std::max(range.min, type_min);
    if (range.max < 0 || std::uint64_t(range.max) <= type_max)
        return cat("a number from ", low, " to ", range.max);
    return cat("a number from ", low, " to ", type_max);
}

std::string parse_seconds(std::string_view s, Seconds& out)
{
    constexpr std::string_view kMustBe = "a number of seconds such as 1 or 0.5";
    constexpr std::uint64_t kMax = 100ull * 365 * 24 * 3600;
    const auto dot = s.find('.');
    const auto whole = s.substr(0, dot), fraction = dot == s.npos ? "" : s.substr(dot + 1);
    if ((whole.empty() && fraction.empty()) || fraction.size() > 9 ||
        (dot != s.npos && fraction.empty()))
        return std::string(kMustBe);
    std::uint64_t seconds = 0, ns = 0;
    if (!whole.empty()) {
        const auto n = to_number<std::uint64_t>(whole);
        if (!n || *n > kMax)
            return std::string(kMustBe);
        seconds = *n;
    }
    if (!fraction.empty()) {
        const auto n = to_number<std::uint64_t>(fraction);
        if (!n)
            return std::string(kMustBe);
        ns = *n;
        for (auto digits = fraction.size(); digits < 9; digits++)
            ns *= 10;
    }
    out = Seconds(seconds * 1'000'000'000 + ns);
    return {};
}

std::string parse_user(std::string_view s, User& out)
{
    const auto uid = to_number<std::uint32_t>(s);
    const auto found = uid ? uid : user_id(s);
    if (!found)
        return "a user name or number";
    out = {*found, true};
    return {};
}

} // namespace detail

namespace
{

// Calls use(name, uid) for the users of /etc/passwd until it returns true.
template <class F>
void each_user(F&& use)
{
    const auto text = read_file("/etc/passwd");
    if (!text)
        return;
    for (const std::string_view line : split(*text, '\n')) {
        const auto fields = split(line, ':');
        if (fields.size() < 3)
            continue;
        if (const auto uid = to_number<std::uint32_t>(fields[2]); uid && use(fields[0], *uid))
            return;
    }
}

} // namespace

std::optional<std::uint32_t> user_id(std::string_view name)
{
    std::optional<std::uint32_t> found;
    each_user([&](std::string_view user, std::uint32_t uid) {
        if (user == name)
            found = uid;
        return found.has_value();
    });
    return found;
}

std::string user_name(std::uint32_t wanted)
{
    std::string found = cat(wanted);
    each_user([&](std::string_view user, std::uint32_t uid) {
        if (uid == wanted)
            found = user;
        return uid == wanted;
    });
    return found;
}

} // namespace corebox
