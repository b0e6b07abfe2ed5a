-- A point of the aggregator is dated by the end of its round, when the last venue had answered or its time was over.

comment on column raw.cex_books.ts is 'When the round of the venues ended, by the store''s clock.';
comment on column raw.cex_open_interest.ts is 'When the round of the venues ended, by the store''s clock.';
