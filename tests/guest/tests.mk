# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# The guest tests: one static program of all tests/guest/*.cpp.
# EXPECT in an if without braces, and volatile counters that must not be optimised away, are fine here.
guest_test_warnings := -Wno-dangling-else -Wno-volatile
guest_test_srcs := $(wildcard $(foreach t,$(ONLY),tests/guest/$t_test.cpp) \
                     $(filter-out %_test.cpp,$(wildcard tests/guest/*.cpp)))
guest_test_objs := $(guest_test_srcs:%.cpp=$(BUILD)/tests/obj/%.o)

.PHONY: guest-tests
guest-tests: $(BUILD)/tests/guest_tests

# -O1: half of the compile time of -O2, and nothing here is hot. GoogleTest's macros shadow. Symbols
# and frame pointers stay: tools that print stacks are tested on this very program.
$(BUILD)/tests/obj/tests/guest/%.o: tests/guest/%.cpp | $(libraries)
	$(say) CXX $<
	@mkdir -p $(@D)
	$(Q)$(CXX) $(CPPFLAGS) -Itests/guest $(filter-out -Wshadow -Wcast-qual,$(CXXFLAGS)) -O1 -fno-omit-frame-pointer $(guest_test_warnings) -MMD -MP -MF $(@:.o=.d) -c $< -o $@

$(BUILD)/tests/guest_tests: $(guest_test_objs)
	$(say) LINK $@
	@mkdir -p $(@D)
	$(Q)$(CXX) $(LDFLAGS) -Wl,-S -Wl,--no-warnings $^ -lgtest $(LDLIBS) -o $@

-include $(guest_test_objs:.o=.d)
