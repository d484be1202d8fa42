// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// How libbpf loads programs that attach by an id in BTF.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace corebox
{

bool is_trace(std::string_view section); // of fentry, fexit, fmod_ret or tp_btf
bool is_iterator(std::string_view section);

// The name in BTF of what a trace program attaches to.
std::string target_name(std::string_view section);

// Our loading of fentry, fexit, tp_btf and iterator programs in place of libbpf's, which parses all
// of vmlinux's BTF to find one id; and of kprobe.session programs. Registered as long as this
// object is.
class TraceHandlers
{
public:
    TraceHandlers() = default;
    ~TraceHandlers() { remove(); }
    TraceHandlers(const TraceHandlers&) = delete;
    TraceHandlers& operator=(const TraceHandlers&) = delete;

    struct Id {
        std::uint32_t id;
        int object = 0; // descriptor of a module's BTF; 0: vmlinux's
    };
    using Ids = std::map<std::string, Id, std::less<>>; // by name or slot
    void add(const Ids& ids);                           // `ids` outlives the handlers
    void remove();

private:
    std::vector<int> handlers_;
};

} // namespace corebox
