// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Makes a source that carries files, compressed, by their names without folder and suffix: entries
// of type PackedFile (base/unpack.hpp) in the linker's section SECTION.
//
// usage: pack-files SECTION FILE... >BUNDLE.cpp
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <zlib.h>

namespace
{

[[noreturn]] void die(const char* what, const char* file)
{
    std::fprintf(stderr, "pack-files: %s: %s\n", file, what);
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
    if (argc < 2)
        die("no section", "usage");
    std::puts("#include \"base/unpack.hpp\"\nnamespace\n{");
    for (int i = 2; i < argc; i++) {
        const std::string raw = read_all(argv[i]);
        std::vector<Bytef> packed(compressBound(raw.size()));
        uLongf size = packed.size();
        if (compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(raw.data()), raw.size(),
                      9) != Z_OK)
            die("cannot be compressed", argv[i]);
        std::string name(argv[i]);
        name.erase(0, name.rfind('/') + 1);
        name.erase(name.rfind('.')); // of a release only the suffix: 6.1.0-25-amd64.btf
        std::printf("constexpr unsigned char kPacked%d[] = {", i);
        for (uLongf at = 0; at < size; at++)
            std::printf("%s%u,", at % 32 ? "" : "\n", unsigned(packed[at]));
        std::printf("};\n[[gnu::section(\"%s\"), gnu::used]] const corebox::PackedFile "
                    "kFile%d = {\n    \"%s\", kPacked%d, sizeof kPacked%d, %zu};\n",
                    argv[1], i, name.c_str(), i, i, raw.size());
    }
    std::puts("} // namespace");
    return std::fflush(stdout) == 0 ? 0 : 1;
}
