// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Where things are in FakeKernel.
#pragma once
#include <cstddef>
#include <cstdint>

namespace corebox::test
{

// struct node; the numbers are at 0, 8, 16, 20, 24, 26, 28, 29.
struct Field {
    std::uint32_t offset, size;
    bool is_signed;
};
inline constexpr Field kNumbers[] = {{0, 8, true},  {8, 8, false},  {16, 4, true}, {20, 4, false},
                                     {24, 2, true}, {26, 2, false}, {28, 1, true}, {29, 1, false}};
inline constexpr std::int64_t kNodeId = 7, kPairId = 9;
inline constexpr std::size_t kNodes = 8;
// Of the context.
inline constexpr std::int64_t kNodeArgument = 0, kKernelText = 8, kUserText = 16, kUnknown = 24,
                              kNumber1 = 32, kNumber2 = 40, kLongText = 48, kOtherNode = 56;
// Of the record: numbers to 64, a text of 16, one of 200, one of 248 behind.
inline constexpr std::int64_t kShortText = 64, kMiddleText = 80, kLongRecordText = 280;

inline constexpr const char* kTexts[] = {"",
                                         "a",
                                         "ab",
                                         "abc",
                                         "abcdefg",
                                         "abcdefgh",
                                         "nginx",
                                         "nginx-worker",
                                         "/etc/passwd",
                                         "/etc/resolv.conf",
                                         "/usr/lib/x86_64-linux-gnu/libc.so.6",
                                         "aaaaaaaaaaaaaaa",
                                         "aaaaaaaaaaaaaaaa",
                                         "[a]b*"};
} // namespace corebox::test
