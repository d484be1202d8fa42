// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "session/later_files.hpp"
#include "base/text.hpp"
#include <algorithm>
#include <sys/stat.h>

namespace corebox
{
namespace
{

std::vector<std::string_view> views(const std::vector<std::string>& texts)
{
    return {texts.begin(), texts.end()};
}

} // namespace

void LaterFiles::begin()
{
    begun_ = takers_.size();
    take_back();
}

void LaterFiles::take_back()
{
    takers_.resize(begun_);
    files_.clear();
    usdt_sites = nullptr;
    known_usdt_sites.clear();
    obstacle = {};
}

void LaterFiles::detach()
{
    takers_.clear();
    begun_ = 0;
    watch_.reset();
}

void LaterFiles::watch()
{
    if (watch_)
        return;
    watch_.emplace();
    if (!*watch_)
        watch_.reset();
}

std::size_t LaterFiles::add(FileTaker taker)
{
    takers_.push_back({std::move(taker), {}});
    return takers_.size() - 1;
}

void LaterFiles::know(std::size_t taker, const Object& object)
{
    auto& known = takers_[taker].known;
    const auto id = identify(*object);
    if (id &&
        std::ranges::none_of(known, [&](const Taker::Known& k) { return is_same(k.id, *id); }))
        known.push_back({*id, 0, 1});
}

std::size_t LaterFiles::attach(Taker& taker, const Object& object, std::uint32_t pid, bool later)
{
    const auto id = identify(*object);
    if (!id)
        return 0;
    for (const Taker::Known& known : taker.known)
        if (known.pid == pid && is_same(known.id, *id))
            return known.places;
    // Its inode cannot be another file's while a probe holds it; one without is looked at again.
    const std::size_t places = taker.attach(object, pid);
    if (places == 0)
        return 0;
    taker.known.push_back({*id, pid, places});
    const std::string line = cat(object->path, " (", places, places == 1 ? " place" : " places",
                                 pid ? cat(", process ", pid) : std::string(), ")");
    if (later && say_)
        say_(cat("attached to ", line));
    else if (!later)
        files_ += cat("    ", line, "\n");
    return places;
}

bool LaterFiles::wants(const Taker& taker, const MapWatch::Mapped& mapped)
{
    if (taker.libraries.empty())
        return false;
    if (!taker.pids.empty() && std::ranges::find(taker.pids, mapped.pid) == taker.pids.end())
        return false;
    if (is_one_of(mapped.path, views(taker.libraries)))
        return true;
    // A static program has its libraries in itself.
    struct stat program {
    };
    return !taker.pids.empty() &&
           ::stat(cat("/proc/", mapped.pid, "/exe").c_str(), &program) == 0 &&
           program.st_ino == mapped.inode;
}

void LaterFiles::look_at(const MapWatch::Mapped& mapped)
{
    if (!mapped.path.starts_with('/'))
        return;
    Object object;
    for (Taker& taker : takers_) {
        if (!wants(taker, mapped))
            continue;
        const std::uint32_t pid = taker.pids.empty() ? 0 : mapped.pid;
        if (!object) {
            constexpr std::size_t kMostSeen = 65536;
            if (seen_.size() >= kMostSeen)
                seen_.clear();
            const auto key = std::tuple(mapped.device, mapped.inode, mapped.generation, pid);
            if (seen_.contains(key))
                return;
            object = open_mapped(mapped.pid, mapped.start, mapped.end, std::string(mapped.path),
                                 mapped.inode);
            if (!object)
                return;
            seen_.insert(key);
        }
        attach(taker, object, pid, true);
    }
}

void LaterFiles::look_everywhere()
{
    for (Taker& taker : takers_) {
        const auto libraries = views(taker.libraries);
        if (libraries.empty())
            continue;
        if (taker.pids.empty())
            for (const Object& object : libraries_in_use(libraries))
                attach(taker, object, 0, true);
        for (const std::uint32_t pid : taker.pids)
            for (const Object& object : libraries_of(pid, libraries))
                attach(taker, object, pid, true);
    }
}

void LaterFiles::look()
{
    if (watch_ && !watch_->take([this](const MapWatch::Mapped& mapped) { look_at(mapped); }))
        look_everywhere();
    files.forget();
}

std::size_t LaterFiles::places() const
{
    std::size_t places = 0;
    for (const Taker& taker : takers_)
        for (const Taker::Known& known : taker.known)
            places += known.places;
    return places;
}

std::string LaterFiles::explain() const
{
    if (takers_.size() == begun_)
        return {};
    return cat("  files:\n", files_,
               watch_ ? "    and files of these libraries that processes map later\n" : "");
}

} // namespace corebox
