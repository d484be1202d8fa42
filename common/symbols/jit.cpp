// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "symbols/jit.hpp"

#include "base/text.hpp"
#include "output/output.hpp"
#include "symbols/file.hpp"

namespace corebox
{
namespace
{

constexpr std::size_t kMaxPerfMap = 256u << 20;
constexpr std::size_t kMaxAncestors = 8;
constexpr std::uint64_t kLookAgainNs = 100'000'000;

} // namespace

void JitMap::read_again()
{
    struct stat info;
    if (::fstat(handle.get(), &info) != 0)
        return;
    const std::int64_t now = info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec;
    if (info.st_size == size && now == written)
        return;
    size = info.st_size;
    written = now;
    const Fd file = open_held(handle);
    if (auto text = file ? read_all(file.get(), kMaxPerfMap) : std::nullopt)
        names = PerfMap(std::move(*text));
}

std::shared_ptr<JitMap> JitMaps::take(Fd handle, const struct stat& info)
{
    std::weak_ptr<JitMap>& known = maps_[{info.st_dev, info.st_ino}];
    std::shared_ptr<JitMap> map = known.lock();
    if (!map) {
        map = std::make_shared<JitMap>();
        map->handle = std::move(handle);
        known = map;
    }
    return map;
}

void JitNames::note(std::uint32_t pid, Roots& roots, JitMaps& maps)
{
    if (sources_.empty()) {
        for (std::optional<std::uint32_t> whose = pid; whose && sources_.size() <= kMaxAncestors;
             whose = forked_from(*whose)) {
            const auto owner = read_process_owner(*whose);
            if (!owner)
                break;
            sources_.push_back({.place = roots.find(*whose),
                                .path = cat("/tmp/perf-", owner->inner_pid, ".map"),
                                .uid = owner->uid,
                                .map = {}});
        }
    }
    for (Source& source : sources_)
        if (!source.map)
            look(source, maps);
}

void JitNames::look(Source& source, JitMaps& maps)
{
    struct stat info;
    Fd handle = hold_regular_in(source.place.directory(), source.path, &info);
    // /tmp is everybody's: only the process itself and root may name its code.
    if (handle && (info.st_uid == source.uid || info.st_uid == 0))
        source.map = maps.take(std::move(handle), info);
}

std::optional<PerfMap::Function> JitNames::find_known(std::uint64_t address) const
{
    std::optional<PerfMap::Function> unfinished;
    for (const Source& source : sources_)
        if (const auto found = source.map ? source.map->names.find(address) : std::nullopt) {
            if (!found->unfinished)
                return found;
            unfinished = found;
        }
    return unfinished;
}

std::optional<PerfMap::Function> JitNames::find(std::uint64_t address, JitMaps& maps)
{
    if (const auto found = find_known(address); found && !found->unfinished)
        return found;
    const std::uint64_t now = monotonic_ns();
    for (Source& source : sources_) {
        if (now - source.looked_ns < kLookAgainNs)
            continue;
        source.looked_ns = now;
        look(source, maps);
        if (source.map)
            source.map->read_again();
    }
    return find_known(address);
}

} // namespace corebox
