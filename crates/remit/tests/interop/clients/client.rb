require "net/http"

ARGV.each do |step|
  kind, url = step.split(":", 2)
  uri = URI(url)
  begin
    answer = Net::HTTP.start(uri.host, uri.port, use_ssl: true) do |http|
      kind == "post" ? http.post(uri.path, "a body") : http.get(uri.path)
    end
    puts "#{answer.code} #{answer.body.strip}"
  rescue StandardError => error
    puts "failed #{error.message}"
  end
end
