# 1000 calls of leaf and 10 of mid.
proc leaf {x} { return [expr {$x + 1}] }
proc mid {n} { set s 0; for {set i 0} {$i < $n} {incr i} { set s [leaf $s] }; return $s }
puts ready
flush stdout
gets stdin
set t 0
for {set i 0} {$i < 10} {incr i} { incr t [mid 100] }
puts $t
flush stdout
gets stdin
