// After a line: garbage, 5 full collections, three threads worker-0 to worker-2, 1000 objects of its own
// class. Prints how many collections its beans have counted since the line.
import java.lang.management.ManagementFactory;

public class Gc {
    static final class Thing {
        int number;
    }

    static long sum;
    static Object kept;

    static long count() {
        long collections = 0;
        for (var bean : ManagementFactory.getGarbageCollectorMXBeans())
            collections += bean.getCollectionCount();
        return collections;
    }

    public static void main(String[] arguments) throws Exception {
        count(); // loads its classes
        System.out.println("ready");
        System.in.read();
        long before = count();
        for (int i = 0; i < 50_000; i++) {
            byte[] garbage = new byte[1024];
            kept = garbage;
            sum += garbage.length;
        }
        for (int i = 0; i < 5; i++)
            System.gc();
        for (int i = 0; i < 1000; i++)
            kept = new Thing();
        for (int i = 0; i < 3; i++) {
            Thread worker = new Thread(() -> sum++, "worker-" + i);
            worker.start();
            worker.join();
        }
        System.out.println("collections " + (count() - before));
        Runtime.getRuntime().halt(0);
    }
}
