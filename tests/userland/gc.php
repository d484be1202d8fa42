<?php
// After a line: 3 exceptions.
echo "ready\n";
fgets(STDIN);
for ($i = 0; $i < 3; $i++) {
    try {
        throw new Exception("boom");
    } catch (Exception $e) {
    }
}
