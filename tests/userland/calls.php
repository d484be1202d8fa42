<?php
// 1000 calls of leaf and 10 of Job::mid.
function leaf($x) { return $x + 1; }
class Job {
    static function mid($n) { $s = 0; for ($i = 0; $i < $n; $i++) $s = leaf($s); return $s; }
}
echo "ready\n";
fgets(STDIN);
$t = 0;
for ($i = 0; $i < 10; $i++) $t += Job::mid(100);
echo "$t\n";
fgets(STDIN);
