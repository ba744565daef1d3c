import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;

public class Client {
    public static void main(String[] words) throws Exception {
        boolean old = words[0].equals("old");
        HttpClient client = old ? null : HttpClient.newHttpClient();
        for (int n = 1; n < words.length; n++) {
            int at = words[n].indexOf(':');
            boolean post = words[n].startsWith("post:");
            URI uri = URI.create(words[n].substring(at + 1));
            try {
                System.out.println(old ? connection(uri, post) : client(client, uri, post));
            } catch (java.io.IOException error) {
                System.out.println("failed " + error);
            }
        }
    }

    static String client(HttpClient client, URI uri, boolean post) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(uri);
        if (post) {
            request.POST(HttpRequest.BodyPublishers.ofString("a body"));
        }
        HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        return answer.statusCode() + " " + answer.body().strip();
    }

    static String connection(URI uri, boolean post) throws Exception {
        HttpURLConnection connection = (HttpURLConnection) uri.toURL().openConnection();
        if (post) {
            connection.setDoOutput(true);
            connection.getOutputStream().write("a body".getBytes());
        }
        int status = connection.getResponseCode();
        InputStream body = status < 400 ? connection.getInputStream() : connection.getErrorStream();
        return status + " " + new String(body.readAllBytes()).strip();
    }
}
