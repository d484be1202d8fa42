// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/iterator.hpp"
#include "base/fd.hpp"
#include <bpf/bpf.h>
#include <memory>
#include <unistd.h>

namespace corebox
{

bool run_iterator(const bpf_program* program, const bpf_map* map)
{
    bpf_iter_link_info which{};
    bpf_iter_attach_opts options{};
    options.sz = sizeof options;
    if (map) {
        which.map.map_fd = __u32(bpf_map__fd(map));
        options.link_info = &which;
        options.link_info_len = sizeof which;
    }
    const std::unique_ptr<bpf_link, int (*)(bpf_link*)> link(
        bpf_program__attach_iter(program, map ? &options : nullptr), bpf_link__destroy);
    const Fd iterator(link ? bpf_iter_create(bpf_link__fd(link.get())) : -1);
    char nothing[64]; // it writes no text
    return iterator && ::read(iterator.get(), nothing, sizeof nothing) == 0;
}

} // namespace corebox
