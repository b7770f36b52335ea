-- Replace what stands by a new text, if it still is what the writer saw, and tell the watchers.
-- KEYS: the key. ARGV: what was seen ("" for nothing), the new text, the channel, seconds to live.
local stands = redis.pcall('GET', KEYS[1])
-- False is nothing; a table is an error: something that is not a text, which nobody can have seen.
if type(stands) ~= 'string' then stands = '' end
if stands ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[4])
redis.call('PUBLISH', ARGV[3], ARGV[2])
return 1
