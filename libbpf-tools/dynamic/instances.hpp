// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Several instances of one skeleton, each with bodies of its own, as one run: they send to the same
// event buffer and have one account.
#pragma once
#include "probe/launch.hpp"
#include <vector>

namespace corebox
{

template <Skel S>
class Instances
{
public:
    // One that is looked at only.
    using Opened = std::unique_ptr<S, typename Attachment<S>::Destroy>;

    // As launch(); `object`: with the bodies of this instance. `open_buffers` is called for the
    // first only.
    template <class Configure, class OpenBuffers>
    void attach(Session& session, std::span<const Need> needs, std::span<const std::byte> object,
                Configure&& configure, OpenBuffers&& open_buffers)
    {
        session.object = object;
        prepare_later_files(session);
        attached_.push_back(launch<S>(
            session, needs,
            [&](S& s) {
                if (!attached_.empty())
                    share(s);
                configure(s);
            },
            [&](S& s, bool perf) {
                if (attached_.empty())
                    open_buffers(s, perf);
            }));
    }

    Account make_account()
    {
        std::vector<const bpf_program*> programs;
        bool on_ftrace = false;
        for (Attachment<S>& a : attached_) {
            programs.insert(programs.end(), a.programs.begin(), a.programs.end());
            on_ftrace |= a.on_ftrace;
        }
        return {attached_.front().account(), std::move(programs), on_ftrace};
    }

    void detach()
    {
        for (Attachment<S>& a : attached_)
            a.detach();
    }

    std::vector<Attachment<S>>& all() { return attached_; }

    // In `configure`: the map of the first instance is this one's too.
    void share(S& s, bpf_map* decltype(S::maps)::*map)
    {
        if (!attached_.empty())
            share_map(s.maps.*map, attached_.front()->maps.*map);
    }

private:
    static void share_map(bpf_map* own, const bpf_map* other)
    {
        if (bpf_map__reuse_fd(own, bpf_map__fd(other)) != 0)
            fail("cannot share a BPF map", errno);
    }
    void share(S& s)
    {
        S& first = *attached_.front().skeleton;
        share_map(s.maps.bss, first.maps.bss);
        if constexpr (HasEvents<S>)
            share_map(s.maps.cb_events, first.maps.cb_events);
    }

    std::vector<Attachment<S>> attached_;
};

} // namespace corebox
