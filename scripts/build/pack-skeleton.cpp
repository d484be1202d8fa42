// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Replaces the BPF object in a skeleton of `bpftool gen skeleton` by a compressed one: a quarter of
// its size, and of all tools in one file they are most.
//
// usage: pack-skeleton OBJECT <SKELETON >PACKED
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>
#include <zlib.h>

namespace
{

[[noreturn]] void die(const char* what)
{
    std::fprintf(stderr, "pack-skeleton: %s\n", what);
    std::exit(1);
}

std::string read_all(std::FILE* file)
{
    std::string text;
    char block[65536];
    for (std::size_t n; (n = std::fread(block, 1, sizeof block, file)) > 0;)
        text.append(block, n);
    return text;
}

} // namespace

int main(int argc, char** argv)
{
    std::FILE* file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
    if (!file)
        die("no object");
    const std::string object = read_all(file);
    std::string skeleton = read_all(stdin);

    std::vector<Bytef> packed(compressBound(object.size()));
    uLongf size = packed.size();
    if (compress2(packed.data(), &size, reinterpret_cast<const Bytef*>(object.data()),
                  object.size(), 9) != Z_OK)
        die("cannot compress");

    // static inline const void *NAME__elf_bytes(size_t *sz) { ... }, the definition
    const auto head = skeleton.find("__elf_bytes(size_t *sz)\n{\n");
    const auto body = skeleton.find("{\n", head);
    const auto end = skeleton.find("\n}\n", head);
    if (head == skeleton.npos || end == skeleton.npos)
        die("this bpftool writes skeletons of another form");
    std::string text = "{\n\tstatic const unsigned char packed[] = \"";
    char byte[8];
    for (uLongf i = 0; i < size; i++) {
        std::snprintf(byte, sizeof byte, "\\x%02x", unsigned(packed[i]));
        text += i % 32 ? "" : "\\\n";
        text += byte;
    }
    text += "\";\n\tstatic std::unique_ptr<unsigned char[]> memory;\n"
            "\treturn corebox::unpack(packed, sizeof(packed) - 1, " +
            std::to_string(object.size()) + ", memory, sz);";
    skeleton.replace(body, end - body, text);
    std::fputs("#include \"probe/unpack.hpp\"\n", stdout);
    std::fputs(skeleton.c_str(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}
