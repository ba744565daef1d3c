<?php
$curl = curl_init();
foreach (array_slice($argv, 1) as $step) {
    [$kind, $url] = explode(":", $step, 2);
    curl_reset($curl);
    curl_setopt_array($curl, [CURLOPT_URL => $url, CURLOPT_RETURNTRANSFER => true]);
    if ($kind === "post") {
        curl_setopt($curl, CURLOPT_POSTFIELDS, "a body");
    }
    $body = curl_exec($curl);
    echo $body === false ? "failed " . curl_error($curl) : curl_getinfo($curl, CURLINFO_RESPONSE_CODE) . " " . trim($body), "\n";
}
