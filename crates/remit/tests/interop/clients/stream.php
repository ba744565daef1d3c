<?php
foreach (array_slice($argv, 1) as $step) {
    [$kind, $url] = explode(":", $step, 2);
    $options = ["ignore_errors" => true, "timeout" => 20];
    if ($kind === "post") {
        $options += ["method" => "POST", "content" => "a body", "header" => "Content-Type: text/plain"];
    }
    $body = @file_get_contents($url, false, stream_context_create(["http" => $options]));
    if ($body === false) {
        echo "failed ", error_get_last()["message"], "\n";
    } else {
        preg_match("/ (\d+)/", $http_response_header[0], $found);
        echo $found[1], " ", trim($body), "\n";
    }
}
