local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local length, limit = tonumber(ARGV[1]), tonumber(ARGV[2])
local action, least, most = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local index = math.floor(now / length)
local elapsed = now - index * length

local previous, current, at = 0, 0, index
local kept = redis.pcall('GET', KEYS[1])
if type(kept) == 'string' then
  local i, p, c = string.match(kept, '^(%d+) (%d+) (%d+)$')
  -- Longer numbers are none of ours.
  if i and #i <= 13 and #p <= 10 and #c <= 10 then at, previous, current = tonumber(i), tonumber(p), tonumber(c) end
end
if at == index - 1 then
  previous, current = current, 0
elseif at < index then
  previous, current = 0, 0
end

local function room()
  return math.max(0, math.floor((limit * length - previous * (length - elapsed) - current * length) / length))
end
local function fits_at(count, free)
  if count <= free then return 0 end
  return length - math.floor(free * length / count)
end
local function wait_for(cost)
  if current + cost <= limit then
    return math.max(0, fits_at(previous, limit - current - cost) - elapsed)
  end
  return length - elapsed + fits_at(current, math.max(0, limit - cost))
end

local taken, wait = 0, 0
if action == 't' then
  local free = room()
  if free >= least then
    taken = math.min(free, most)
    current = current + taken
  else
    wait = wait_for(least)
  end
elseif action == 'g' then
  local back = math.min(current, least)
  current = current - back
  previous = math.max(0, previous - (least - back))
else
  current = current + least
  if room() == 0 then wait = wait_for(1) end
end

local whole = 0
if current > 0 then
  whole = 2 * length - elapsed
elseif previous > 0 then
  whole = length - elapsed
end
-- A refusal changes nothing; a clock that was set back has to be written down, though.
if taken > 0 or action ~= 't' or at > index then
  if whole > 0 then
    redis.call('SET', KEYS[1], string.format('%.0f %.0f %.0f', index, previous, current), 'PX', string.format('%.0f', math.ceil(whole / 1000) + 1))
  else
    redis.call('DEL', KEYS[1])
  end
end
return {taken, wait, room(), whole}
