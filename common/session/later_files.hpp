// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Probes in files that some process maps only after the tool has started: a library of a container
// that starts later, one that dlopen(3) loads, one that an update brings. A run watches what is
// mapped (session/map_watch.hpp) and attaches to each new file once. What processes call in it
// before that, within some milliseconds of its very first use, is not seen.
#pragma once
#include "abi/usdt.h"
#include "kernel/cause.hpp"
#include "session/map_watch.hpp"
#include "symbols/known_files.hpp"
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

struct bpf_map;

namespace corebox
{

// What attaches to files.
struct FileTaker {
    std::vector<std::string> libraries; // as is_library() takes them
    // Only what these processes map, in these processes alone; none: in all.
    std::vector<std::uint32_t> pids{};
    // The number of places that it attached to; 0: the file has none, or the kernel refused them.
    // `pid` is 0, or one of `pids`.
    std::function<std::size_t(const Object&, std::uint32_t pid)> attach;
};

class LaterFiles
{
public:
    // `say` prints a line of --explain while the tool runs; may be empty.
    explicit LaterFiles(std::function<void(std::string_view)> say) : say_(std::move(say)) {}

    // Before each try to attach. Where that fails, what it has attached goes.
    void begin();
    void take_back();
    // From now on nothing is missed. Before a taker's first files are listed.
    void watch();
    // Returns its number. From now on it gets what is mapped later, if the kernel lets us watch.
    std::size_t add(FileTaker taker);
    // Lets it attach to a file, if it has not. The number of places; 0 with errno set.
    std::size_t attach(std::size_t taker, const Object& object, std::uint32_t pid)
    {
        return attach(takers_[taker], object, pid, false);
    }
    // What a taker has attached to before it was added.
    void know(std::size_t taker, const Object& object);
    // Ends what takers attached. They are called no more.
    void detach();

    // Whether more may be attached, which takes CAP_PERFMON where it goes by perf events.
    bool watches() const { return watch_.has_value(); }
    bool needs_perf_events = false, loads_programs = false; // set by those who attach
    int fd() const { return watch_ ? watch_->fd() : -1; }
    // Attaches to what was mapped since.
    void look();

    // How many there are that something was attached to.
    std::size_t places() const;
    // For --explain: the files since begin(), a line each.
    std::string explain() const;

    bpf_map* usdt_sites = nullptr; // of the object that is being attached (bpf/usdt.bpf.h)
    std::vector<usdt_site> known_usdt_sites; // by number: what all takers have put there
    Obstacle obstacle{};                     // why a rung found nothing to attach to
    KnownFiles files; // while something attaches

private:
    struct Taker : FileTaker {
        struct Known {
            FileId id;
            std::uint32_t pid; // or 0
            std::size_t places;
        };
        std::vector<Known> known;
    };

    static bool wants(const Taker& taker, const MapWatch::Mapped& mapped);
    void look_at(const MapWatch::Mapped& mapped);
    void look_everywhere();
    std::size_t attach(Taker& taker, const Object& object, std::uint32_t pid, bool later);

    std::function<void(std::string_view)> say_;
    std::optional<MapWatch> watch_;
    std::vector<Taker> takers_;
    std::size_t begun_ = 0; // the takers before this try, of other instances of the run
    std::string files_;
    // Mappings that were looked at: device, inode, its generation, process or 0.
    std::set<std::tuple<std::uint64_t, std::uint64_t, std::uint64_t, std::uint32_t>> seen_;
};

} // namespace corebox
