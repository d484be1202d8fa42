// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "kernel/types.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "base/unpack.hpp"
#include <algorithm>
#include <bpf/btf.h>
#include <cerrno>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

// The linker's bounds of the section; there is none where nothing was bundled.
extern "C" {
[[gnu::weak]] extern const corebox::PackedFile __start_corebox_btf[];
[[gnu::weak]] extern const corebox::PackedFile __stop_corebox_btf[];
}

namespace corebox
{
namespace
{

std::string release()
{
    utsname name{};
    ::uname(&name);
    return name.release;
}

std::unique_ptr<KernelBtf> bundled(std::string_view release)
{
    for (const PackedFile* t = __start_corebox_btf; t != __stop_corebox_btf; t++) {
        if (t->name != release)
            continue;
        std::unique_ptr<unsigned char[]> memory;
        std::size_t size = 0;
        unpack(t->packed, t->packed_size, t->size, memory, &size);
        if (size != 0)
            return std::make_unique<KernelBtf>(std::move(memory), size);
    }
    return nullptr;
}

// Null with errno set.
std::unique_ptr<KernelBtf> read_types(const std::string& file)
{
    const std::unique_ptr<btf, void (*)(btf*)> types(btf__parse(file.c_str(), nullptr), btf__free);
    if (!types) {
        // libbpf reports a file without BTF as if the file were not there, and a file of another
        // format by numbers of its own (libbpf_errno: from 4000).
        constexpr int kLibbpfErrors = 4000;
        if (errno >= kLibbpfErrors || (errno == ENOENT && ::access(file.c_str(), F_OK) == 0))
            errno = EINVAL;
        return nullptr;
    }
    __u32 size = 0;
    const auto* raw = static_cast<const unsigned char*>(btf__raw_data(types.get(), &size));
    auto copy = std::make_unique_for_overwrite<unsigned char[]>(size);
    std::copy_n(raw, size, copy.get());
    return std::make_unique<KernelBtf>(std::move(copy), size);
}

} // namespace

std::unique_ptr<KernelBtf> types_from_elsewhere(std::string_view given)
{
    if (!given.empty()) {
        std::string file(given);
        struct stat st {
        };
        if (::stat(file.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
            file += cat("/", release(), ".btf");
        auto types = read_types(file);
        if (!types || types->empty())
            fail(cat("cannot read BTF from ", file), types ? EINVAL : errno,
                 "use a file of raw BTF, or an ELF file that has BTF");
        return types;
    }
    if (::access("/sys/kernel/btf/vmlinux", R_OK) == 0)
        return nullptr;
    const std::string of = release();
    if (auto types = bundled(of))
        return types;
    for (const char* directory : {"/usr/local/share/corebox/btf", "/usr/share/corebox/btf"})
        if (auto types = read_types(cat(directory, "/", of, ".btf")); types && !types->empty())
            return types;
    return nullptr;
}

} // namespace corebox
