# 1000 calls of Object#leaf and 10 of Object#mid, seen if the first argument is "trace"; 5 of GC.start.
def leaf(x) x + 1 end
def mid(n) s = 0; n.times { s = leaf(s) }; s end
puts 'ready'
$stdout.flush
$stdin.gets
if ARGV[0] == 'trace'
  t = TracePoint.new(:call) {}
  t.enable
end
r = 0
10.times { r += mid(100) }
5.times { GC.start }
puts r
$stdout.flush
$stdin.gets
