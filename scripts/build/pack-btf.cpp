// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Makes the source of a bundle of kernel types (kernel/types.hpp) from files RELEASE.btf of
// scripts/min-btf.
//
// usage: pack-btf FILE... >BUNDLE.cpp
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <zlib.h>

namespace
{

[[noreturn]] void die(const char* what, const char* file)
{
    std::fprintf(stderr, "pack-btf: %s: %s\n", file, what);
    std::exit(1);
}

std::string read_all(const char* path)
{
    std::FILE* file = std::fopen(path, "rb");
    if (!file)
        die("cannot be read", path);
    std::string bytes;
    char block[65536];
    for (std::size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;)
        bytes.append(block, n);
    std::fclose(file);
    return bytes;
}

} // namespace

int main(int argc, char** argv)
{
    std::puts("#include \"kernel/types.hpp\"\nnamespace\n{");
    for (int i = 1; i < argc; i++) {
        const std::string raw = read_all(argv[i]);
        std::vector<Bytef> packed(compressBound(raw.size()));
        uLongf size = packed.size();
        if (compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size(),
                      9) != Z_OK)
            die("cannot be compressed", argv[i]);
        std::string release(argv[i]);
        release.erase(0, release.rfind('/') + 1);
        if (release.size() > 4 && release.ends_with(".btf"))
            release.resize(release.size() - 4);
        std::printf("constexpr unsigned char kPacked%d[] = {", i);
        for (uLongf at = 0; at < size; at++)
            std::printf("%s%u,", at % 32 ? "" : "\n", unsigned(packed[at]));
        std::printf("};\n[[gnu::section(\"corebox_btf\"), gnu::used]] const corebox::BundledTypes "
                    "kTypes%d = {\n    \"%s\", kPacked%d, sizeof kPacked%d, %zu};\n",
                    i, release.c_str(), i, i, raw.size());
    }
    std::puts("} // namespace");
    return std::fflush(stdout) == 0 ? 0 : 1;
}
