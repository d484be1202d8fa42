// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Another body for a function of the tools' own objects: it is where calls of it go, and nothing
// else has changed.
#include "base/error.hpp"
#include "expr/splice.hpp"
#include "tool/tool.hpp"
#include <algorithm>
#include <bpf/libbpf.h>
#include <cstring>
#include <gelf.h>
#include <gtest/gtest.h>
#include <libelf.h>
#include <linux/btf.h>
#include <map>
#include <string>

namespace corebox
{

namespace
{

// What of an object matters here.
struct Object {
    std::map<std::string, std::string> sections;
    std::map<std::string, GElf_Sym> functions; // of .text
    std::map<std::string, GElf_Sym> others;
    // Of .text, in the order of the file.
    std::vector<std::uint32_t> described;
};

Object read_object(std::span<const std::byte> bytes)
{
    Object object;
    elf_version(EV_CURRENT);
    std::string copy(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    Elf* elf = elf_memory(copy.data(), copy.size());
    std::size_t names = 0, text = 0;
    elf_getshdrstrndx(elf, &names);
    const auto each = [&](auto&& use) {
        for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf, scn));) {
            GElf_Shdr header{};
            gelf_getshdr(scn, &header);
            use(scn, header, std::string(elf_strptr(elf, names, header.sh_name)));
        }
    };
    each([&](Elf_Scn* scn, const GElf_Shdr&, const std::string& name) {
        const Elf_Data* data = elf_getdata(scn, nullptr);
        if (data && data->d_buf)
            object.sections[name] = std::string(static_cast<char*>(data->d_buf), data->d_size);
        if (name == ".text")
            text = elf_ndxscn(scn);
    });
    each([&](Elf_Scn* scn, const GElf_Shdr& header, const std::string&) {
        if (header.sh_type != SHT_SYMTAB)
            return;
        Elf_Data* data = elf_getdata(scn, nullptr);
        GElf_Sym symbol{};
        for (int i = 0; gelf_getsym(data, i, &symbol); i++) {
            const bool is_function =
                symbol.st_shndx == text && GELF_ST_TYPE(symbol.st_info) == STT_FUNC;
            (is_function ? object.functions
                         : object.others)[elf_strptr(elf, header.sh_link, symbol.st_name)] = symbol;
        }
    });
    elf_end(elf);

    const std::string &ext = object.sections[".BTF.ext"], &btf = object.sections[".BTF"];
    btf_header types{};
    std::memcpy(&types, btf.data(), sizeof types);
    const auto word = [&](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, &ext.at(at), sizeof value);
        return value;
    };
    const std::size_t begin = word(4) + word(8); // header length, offset of func_info
    const std::size_t size = word(begin), end = begin + word(12);
    for (std::size_t at = begin + 4; at < end;) {
        const std::string name = &btf.at(types.hdr_len + types.str_off + word(at));
        const std::uint32_t count = word(at + 4);
        at += 8;
        for (std::uint32_t i = 0; i < count; i++, at += size)
            if (name == ".text")
                object.described.push_back(word(at));
    }
    return object;
}

std::vector<bpf_insn> body_of(int result, unsigned length)
{
    std::vector<bpf_insn> body(length, {BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, result});
    body.push_back({BPF_JMP | BPF_EXIT, 0, 0, 0, 0});
    return body;
}

TEST(ExprSplice, EveryToolsObjectTakesABody)
{
    unsigned spliced = 0;
    for (const Tool* tool : all_tools()) {
        const auto original = tool->object();
        if (original.empty())
            continue;
        const Object before = read_object(original);
        if (!before.functions.contains("cb_where"))
            continue;
        spliced++;
        SCOPED_TRACE(std::string(tool->about.name));
        const auto body = body_of(1, 100);
        const expr::Body bodies[] = {{"cb_where", body}};
        const auto image = expr::splice(original, bodies);
        Object after = read_object(image);

        const std::string &old_text = before.sections.at(".text"),
                          &text = after.sections.at(".text");
        EXPECT_EQ(text.substr(0, old_text.size()), old_text);
        EXPECT_EQ(text.size(), old_text.size() + body.size() * sizeof(bpf_insn));
        const GElf_Sym& symbol = after.functions.at("cb_where");
        EXPECT_EQ(symbol.st_value, old_text.size());
        EXPECT_EQ(symbol.st_size, body.size() * sizeof(bpf_insn));
        EXPECT_EQ(text.compare(symbol.st_value, symbol.st_size,
                               reinterpret_cast<const char*>(body.data()), symbol.st_size),
                  0);
        for (const auto& [name, function] : before.functions) {
            if (name == "cb_where")
                continue;
            EXPECT_EQ(after.functions.at(name).st_value, function.st_value) << name;
            EXPECT_EQ(after.functions.at(name).st_size, function.st_size) << name;
        }
        EXPECT_TRUE(std::ranges::is_sorted(after.described));
        EXPECT_EQ(after.described.size(), before.described.size());
        EXPECT_EQ(after.described.back(), old_text.size());
        for (const char* changed : {".text", ".symtab", ".BTF.ext"})
            after.sections[changed] = before.sections.at(changed);
        EXPECT_EQ(after.sections, before.sections);

        bpf_object* opened = bpf_object__open_mem(image.data(), image.size(), nullptr);
        EXPECT_NE(opened, nullptr);
        bpf_object__close(opened);
    }
    EXPECT_GT(spliced, 0u);
}

TEST(ExprSplice, SaysWhatIsMissing)
{
    for (const Tool* tool : all_tools()) {
        const auto object = tool->object();
        if (object.empty())
            continue;
        const auto body = body_of(1, 1);
        const expr::Body bodies[] = {{"no_such_function", body}};
        try {
            expr::splice(object, bodies);
            ADD_FAILURE();
        } catch (const Failure& failure) {
            EXPECT_EQ(failure.status, Exit::cannot_run);
            EXPECT_NE(failure.message.find("no_such_function()"), failure.message.npos);
        }
        // Objects that are cut off are no crash.
        for (std::size_t bytes = 0; bytes < object.size(); bytes += object.size() / 50 + 1) {
            const expr::Body where[] = {{"cb_where", body}};
            EXPECT_THROW(expr::splice(object.first(bytes), where), Failure);
        }
        return;
    }
}

} // namespace

} // namespace corebox
