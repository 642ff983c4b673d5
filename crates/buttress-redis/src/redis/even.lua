local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local action, least, most, patience = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local capacity = interval * burst

local debt, at = 0, now
local kept = redis.pcall('GET', KEYS[1])
if type(kept) == 'string' then
  local d, a = string.match(kept, '^(%d+) (%d+)$')
  -- Longer numbers are none of ours.
  if d and #d <= 17 and #a <= 16 then debt, at = tonumber(d), tonumber(a) end
end
if now > at then debt = math.max(0, debt - (now - at) * 1000) end

local taken, wait = 0, 0
if action == 't' then
  local room = math.floor((capacity - debt) / interval)
  if room >= least then
    taken = math.min(room, most)
  else
    wait = debt + interval * least - capacity
    if wait <= patience then taken = least end
  end
  debt = debt + interval * taken
elseif action == 'g' then
  debt = math.max(0, debt - interval * least)
else
  debt = debt + interval * least
  wait = math.max(0, debt + interval - capacity)
end

-- A refusal changes nothing; a clock that was set back has to be written down, though.
if taken > 0 or action ~= 't' or now < at then
  if debt > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f %.0f', debt, now), 'PX', string.format('%.0f', math.ceil(debt / 1000000) + 1))
  else
    redis.call('DEL', KEYS[1])
  end
end
return {taken, math.ceil(wait / 1000), math.max(0, math.floor((capacity - debt) / interval)), math.ceil(debt / 1000)}
