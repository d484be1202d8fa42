// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// A program with DWARF, whose types are read by tests on the host, and which is traced in guests.
// It needs no library, so that it is small enough to be a part of the tests' programs.

extern "C" {
void* memset(void* to, int value, unsigned long size)
{
    volatile char* bytes = static_cast<char*>(to);
    for (unsigned long i = 0; i < size; i++)
        bytes[i] = static_cast<char>(value);
    return to;
}
}

namespace store
{

enum class Kind : unsigned char { book = 1, pen = 4 };
enum Direction { kBack = -1, kForth = 1 };

struct Numbered {
    long id;
};

struct Item : Numbered {
    Kind kind;
    unsigned color : 3, level : 5;
    Direction direction;
    int prices[2][3];
    const char* name;
    Item* next;
    double weight;
    union {
        unsigned whole;
        unsigned char parts[4];
    };
    static int total;
};

struct Pair {
    int first;
    long second;
};

struct Large {
    long numbers[3];
};

} // namespace store

struct Hidden; // defined nowhere

extern "C" {

// Not all of its parameters are in the registers that their numbers say.
[[gnu::noipa]] long types_take(double weight, store::Item* item, store::Pair pair, short count,
                               Hidden* hidden)
{
    asm volatile("" ::: "memory");
    return item->id + pair.first + count + (weight > 1.0) + (hidden != nullptr);
}

// The caller passes first where the result goes.
[[gnu::noipa]] store::Large types_make(const store::Item& item, int number)
{
    asm volatile("" ::: "memory");
    return {{item.id, number, 3}};
}

[[noreturn]] void _start()
{
    static store::Item next = {
        {8},   store::Kind::book, 1,   2,           store::kBack, {{4, 5, 6}, {7, 8, 9}},
        "ink", nullptr,           2.5, {0x04030201}};
    static store::Item item = {
        {7}, store::Kind::pen, 5, 17, store::kForth, {{1, 2, 3}, {-4, 5, 6}}, "quill", &next, 0.5,
        {0}};
    long sum = 0;
    for (short i = 0; i < 3; i++)
        sum += types_take(2.0, &item, {40, 41}, static_cast<short>(-i), nullptr);
    sum += types_make(item, 12).numbers[1];
    // exit(0)
#ifdef __aarch64__
    register long code asm("x0") = sum == 0;
    register long call asm("x8") = 93;
    asm volatile("svc 0" ::"r"(code), "r"(call));
#else
    asm volatile("syscall" ::"a"(60L), "D"(long(sum == 0)));
#endif
    __builtin_unreachable();
}
}
