// 1000 calls of leaf and 10 of mid.
public class Calls {
    static int leaf(int x) { return x + 1; }
    static int mid(int n) { int s = 0; for (int i = 0; i < n; i++) s = leaf(s); return s; }
    public static void main(String[] a) throws Exception {
        System.out.println("ready");
        System.in.read();
        int t = 0;
        for (int i = 0; i < 10; i++) t += mid(100);
        System.out.println(t);
        System.in.read();
    }
}
