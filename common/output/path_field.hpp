// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Columns that are a path, as far as the record has it as it is shown.
#pragma once
#include "abi/path.h"
#include "output/field.hpp"

namespace corebox
{

// path_of() of a path_record in the record: not of one that was cut, and not with a directory,
// whose names come from the deepest up. Text of the event before stands where nothing could be
// read.
template <auto... Record>
inline constexpr Formula path_field = known(Formula(0) < field<Record..., &path_record::path_len> &&
                                                field<Record..., &path_record::path_len> <
                                                    PATH_LEN &&
                                                field<Record..., &path_record::dir_len> == 0,
                                            prefix<PATH_LEN, Record..., &path_record::data>);

// given_path(): the path without its directory.
template <auto... Record>
inline constexpr Formula
    given_path_field = known(Formula(0) < field<Record..., &path_record::path_len> &&
                                 field<Record..., &path_record::path_len> < PATH_LEN,
                             prefix<PATH_LEN, Record..., &path_record::data>);

} // namespace corebox
