/// Makes a policy of what holds [`Policies`](super::Policies), and shows them as `policies()`.
macro_rules! decides_by_its_policies {
    ($holder:ty) => {
        impl<B> buttress::Policy<http::Request<B>> for $holder {
            type Permit = <$crate::policy::Policies as buttress::Policy<http::Request<B>>>::Permit;
            type Waiting =
                <$crate::policy::Policies as buttress::Policy<http::Request<B>>>::Waiting;

            #[inline]
            fn admit(
                &self,
                call: &http::Request<B>,
                now: &buttress::Now,
            ) -> buttress::Admission<Self::Permit, Self::Waiting> {
                self.policies().admit(call, now)
            }

            fn poll_admit(
                &self,
                waiting: &mut Self::Waiting,
                call: &http::Request<B>,
                now: &buttress::Now,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<Self::Permit, buttress::Rejection>> {
                self.policies().poll_admit(waiting, call, now, context)
            }

            fn wake_at(&self, waiting: &Self::Waiting) -> Option<std::time::Instant> {
                buttress::Policy::<http::Request<B>>::wake_at(self.policies(), waiting)
            }

            fn abandon(&self, waiting: Self::Waiting, call: &http::Request<B>) {
                self.policies().abandon(waiting, call);
            }

            fn revoke(&self, permit: Self::Permit, call: &http::Request<B>) {
                self.policies().revoke(permit, call);
            }
        }
    };
}

pub(crate) use decides_by_its_policies;
