// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "expr_world.hpp"
#include "expr_layout.hpp"
#include <algorithm>
#include <cstring>

namespace corebox::test
{

using namespace expr;

FakeKernel::FakeKernel(bool user_only)
    : in_user(user_only), space(user_only ? Space::user : Space::kernel),
      base(user_only ? 0x7e0000001000 : 0xffff888000001000), task(base + kSize), memory(kMemory),
      user(kMemory)
{
    node = types.add({.kind = Type::Kind::structure,
                      .size = kSize,
                      .kernel_id = kNodeId,
                      .name = "struct node"});
}

void FakeKernel::shuffle(std::mt19937_64& random)
{
    const auto fill = [&](std::span<std::byte> bytes) {
        std::uint64_t some = 0;
        for (std::size_t i = 0; i < bytes.size(); i++, some >>= 8) {
            if (i % 8 == 0) // numbers of all sizes
                some = random() >> random() % 64;
            bytes[i] = std::byte(some);
        }
    };
    fill(context);
    fill(record);
    fill(std::span(memory).first(kNodes * kSize));
    const auto put = [](std::span<std::byte> to, std::size_t at, std::uint64_t value) {
        std::memcpy(&to[at], &value, sizeof value);
    };
    const auto put_text = [&](std::span<std::byte> to, std::size_t at, std::size_t room) {
        const std::string_view text = kTexts[random() % std::size(kTexts)];
        for (std::size_t i = 0; i < room; i++)
            to[at + i] = i < text.size()    ? std::byte(text[i])
                         : i == text.size() ? std::byte{}
                                            : std::byte('z'); // not the text's
    };
    const auto some_node = [&]() -> std::uint64_t {
        return random() % 5 ? base + random() % kNodes * kSize : 0;
    };
    const std::size_t texts = kNodes * kSize;
    for (std::size_t i = 0; i < 8; i++) {
        put_text(memory, texts + i * 64, 64);
        put_text(user, i * 64, 64);
    }
    // Long ones, and one that ends where the memory does.
    for (std::size_t i = 0; i < 300; i++)
        user[1024 + i] = memory[texts + 600 + i] = std::byte("ab/"[random() % 3]);
    user[1024 + 200 + random() % 100] = memory[texts + 600 + 200 + random() % 100] = std::byte{};
    std::memcpy(&memory[memory.size() - 4], random() % 2 ? "abc" : "ngi", 4);
    std::memcpy(&user[user.size() - 4], random() % 2 ? "abc" : "ngi", 4);
    const auto some_text = [&](bool of_user) -> std::uint64_t {
        const std::uint64_t first = of_user ? kUser : base + texts;
        switch (random() % 8) {
        case 0:
            return 0;
        case 1:
            return of_user ? kUser + kMemory - 4 : base + kMemory - 4;
        case 2:
            return of_user ? kUser + 1024 : base + texts + 600;
        case 3:
            return 0xdead000000000000;
        default:
            return first + random() % 8 * 64;
        }
    };
    for (std::size_t i = 0; i < kNodes; i++) {
        const auto one = std::span(memory).subspan(i * kSize, kSize);
        put(one, kNext, some_node());
        put(one, kOther, some_node());
        put(one, kText, some_text(false));
        put(one, FakeKernel::kUserText, some_text(true));
        put_text(one, kName, 16);
    }
    put(context, kNodeArgument, random() % 6 ? some_node() : std::uint64_t(-int(random() % 200)));
    put(context, kOtherNode, some_node());
    put(context, kKernelText, some_text(false));
    put(context, test::kUserText, some_text(true));
    put(context, kUnknown, some_text(random() % 2));
    put(context, kLongText, random() % 2 ? kUser + 1024 : base + texts + 600);
    put_text(record, kShortText, 16);
    put_text(record, kMiddleText, 200);
    for (std::size_t i = 0; i < 230; i++)
        record[kLongRecordText + i] = std::byte("ab/"[random() % 3]);
    record[kLongRecordText + random() % 230] = std::byte{};
}

std::int64_t FakeKernel::walk(std::uint32_t structure, std::uint32_t offset,
                              std::uint32_t size) const
{
    if (structure == kPairId)
        return offset + size <= 16 ? 0 : -1;
    if (structure != kNodeId || offset + size > kSize)
        return -1;
    for (const std::uint32_t pointer : {kNext, kOther, kText, FakeKernel::kUserText})
        if (offset < pointer + 8 && offset + size > pointer)
            return offset != pointer || size != 8          ? -1
                   : pointer == kNext || pointer == kOther ? kNodeId
                                                           : 0;
    for (const Field& f : kNumbers)
        if (offset < f.offset + f.size && offset + size > f.offset)
            return offset >= f.offset && offset + size <= f.offset + f.size ? 0 : -1;
    if (offset >= kName && offset < kName + 16)
        return offset + size <= kName + 16 ? 0 : -1;
    return 0;
}

bool FakeKernel::read(std::uint64_t address, bool is_user, std::span<std::byte> to) const
{
    if (in_user && !is_user)
        return false;
    const auto& from = is_user && (!in_user || address >= kUser) ? user : memory;
    const std::uint64_t begin = &from == &user ? kUser : base;
    if (address < begin || address - begin > from.size() ||
        to.size() > from.size() - (address - begin))
        return false;
    std::copy_n(from.begin() + long(address - begin), to.size(), to.begin());
    return true;
}

std::string FakeKernel::show_context() const
{
    std::string out;
    char word[32];
    for (std::size_t i = 0; i < 8; i++) {
        unsigned long value = 0;
        std::memcpy(&value, &context[i * 8], 8);
        std::snprintf(word, sizeof word, "%s%#lx", i ? " " : "\nctx: ", value);
        out += word;
    }
    return out;
}

World FakeKernel::world() const
{
    World w;
    w.context = context;
    w.record = record;
    w.read = [this](std::uint64_t address, Space space, std::span<std::byte> to) {
        return read(address,
                    space == Space::user || (space == Space::unknown && std::int64_t(address) >= 0),
                    to);
    };
    w.helper = [this](Helper helper) {
        return helper == Helper::task ? task : helper == Helper::pid_tgid ? pid : 42;
    };
    return w;
}

BpfMachine FakeKernel::machine(bool typed) const
{
    BpfMachine m;
    m.is_typed = typed;
    m.context.assign(context.begin(), context.end());
    m.record.assign(record.begin(), record.end());
    m.arguments = {kNodeId, 0, 0, 0, 0, 0, 0, kNodeId};
    m.task = kNodeId;
    m.walk = [this](auto... arguments) { return walk(arguments...); };
    m.read = [this](auto... arguments) { return read(arguments...); };
    m.helper = [this](int helper) {
        return helper == BPF_FUNC_get_current_task_btf || helper == BPF_FUNC_get_current_task ? task
               : helper == BPF_FUNC_get_current_pid_tgid                                      ? pid
                                                                                              : 42;
    };
    return m;
}

} // namespace corebox::test
