// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "probe/iterator.hpp"
#include <bpf/bpf.h>
#include <unistd.h>

namespace corebox
{

Link attach_iterator(const bpf_program* program, const bpf_map* map)
{
    bpf_iter_link_info which{};
    bpf_iter_attach_opts options{};
    options.sz = sizeof options;
    if (map) {
        which.map.map_fd = __u32(bpf_map__fd(map));
        options.link_info = &which;
        options.link_info_len = sizeof which;
    }
    return Link(bpf_program__attach_iter(program, &options));
}

bool run_iterator(const bpf_link* link)
{
    const Fd iterator(bpf_iter_create(bpf_link__fd(link)));
    char nothing[64];
    return iterator && ::read(iterator.get(), nothing, sizeof nothing) == 0;
}

} // namespace corebox
